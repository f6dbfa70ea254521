; Functions to call at exit(), for programs that call it: a list, the newest first. The program's calls of exit() reach
; __espb_exit, which then calls the host's.

target datalayout = "e-m:e-p:32:32-i64:64-n32-S128"
target triple = "riscv32-esp-unknown-elf"

%registration = type { ptr, ptr, ptr } ; next, function, argument

@__espb_registrations = internal global ptr null

declare noalias ptr @malloc(i32)
declare void @exit(i32) noreturn
declare void @vPortEnterCritical()
declare void @vPortExitCritical()

define linkonce_odr hidden i32 @__cxa_atexit(ptr %function, ptr %argument, ptr %program) {
  %block = call ptr @malloc(i32 12)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out_of_memory, label %fill
out_of_memory:
  ret i32 -1
fill:
  %function_place = getelementptr %registration, ptr %block, i32 0, i32 1
  store ptr %function, ptr %function_place
  %argument_place = getelementptr %registration, ptr %block, i32 0, i32 2
  store ptr %argument, ptr %argument_place
  call void @vPortEnterCritical()
  %newest = load ptr, ptr @__espb_registrations
  store ptr %newest, ptr %block
  store ptr %block, ptr @__espb_registrations
  call void @vPortExitCritical()
  ret i32 0
}

; A C function takes no argument, so it is the argument of one that does.
define internal void @__espb_call(ptr %function) {
  call void %function()
  ret void
}

define linkonce_odr hidden i32 @atexit(ptr %function) {
  %result = call i32 @__cxa_atexit(ptr @__espb_call, ptr %function, ptr null)
  ret i32 %result
}

define linkonce_odr hidden void @__espb_exit(i32 %status) noreturn {
  br label %look
look:
  call void @vPortEnterCritical()
  %newest = load ptr, ptr @__espb_registrations
  %none = icmp eq ptr %newest, null
  br i1 %none, label %end, label %take
take:
  %next = load ptr, ptr %newest
  store ptr %next, ptr @__espb_registrations
  call void @vPortExitCritical()
  %function_place = getelementptr %registration, ptr %newest, i32 0, i32 1
  %function = load ptr, ptr %function_place
  %argument_place = getelementptr %registration, ptr %newest, i32 0, i32 2
  %argument = load ptr, ptr %argument_place
  call void %function(ptr %argument)
  br label %look
end:
  call void @vPortExitCritical()
  call void @exit(i32 %status)
  unreachable
}
