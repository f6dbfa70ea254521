; What compiled C++ expects of a run-time library, in terms of the host's C library and FreeRTOS. Linked when the program
; declares one of these names and does not define it; what the program defines itself wins (linkonce_odr).

target datalayout = "e-m:e-p:32:32-i64:64-n32-S128"
target triple = "riscv32-esp-unknown-elf"

declare noalias ptr @malloc(i32)
declare void @free(ptr)
declare void @abort() noreturn
declare void @vPortEnterCritical()
declare void @vPortExitCritical()
declare void @vTaskDelay(i32)

; Identifies the program among the libraries of a process; there is one program.
@__dso_handle = linkonce_odr hidden constant i8 0
; The object std::nothrow, of which only the type matters.
@_ZSt7nothrow = linkonce_odr hidden constant i8 0

; Type information points two words into the table of its class in the C++ library. Comparing and naming types needs no more
; than distinct addresses; dynamic_cast, which would call through the table, is refused.
@_ZTVN10__cxxabiv116__enum_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv117__array_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv117__class_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv117__pbase_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv119__pointer_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv120__function_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv120__si_class_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv121__vmi_class_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv123__fundamental_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer
@_ZTVN10__cxxabiv129__pointer_to_member_type_infoE = linkonce_odr hidden constant [5 x ptr] zeroinitializer

; operator new: never null, and a block of its own even for no bytes. The forms for arrays call those for objects, which a program may replace.

define linkonce_odr hidden noalias nonnull ptr @_Znwj(i32 %size) {
  %least = call i32 @llvm.umax.i32(i32 %size, i32 1)
  %block = call ptr @malloc(i32 %least)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out_of_memory, label %done
out_of_memory:
  call void @abort()
  unreachable
done:
  ret ptr %block
}

define linkonce_odr hidden noalias nonnull ptr @_ZnwjSt11align_val_t(i32 %size, i32 %align) {
  %block = call ptr @_ZnwjSt11align_val_tRKSt9nothrow_t(i32 %size, i32 %align, ptr @_ZSt7nothrow)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out_of_memory, label %done
out_of_memory:
  call void @abort()
  unreachable
done:
  ret ptr %block
}

define linkonce_odr hidden noalias ptr @_ZnwjRKSt9nothrow_t(i32 %size, ptr %nothrow) {
  %least = call i32 @llvm.umax.i32(i32 %size, i32 1)
  %block = call ptr @malloc(i32 %least)
  ret ptr %block
}

; More alignment than the heap gives: the block starts in front of the object, and the word before the object says where.
define linkonce_odr hidden noalias ptr @_ZnwjSt11align_val_tRKSt9nothrow_t(i32 %size, i32 %align, ptr %nothrow) {
  %room = call i32 @llvm.umax.i32(i32 %align, i32 8)
  %whole = call i32 @llvm.uadd.sat.i32(i32 %size, i32 %room)
  %block = call ptr @malloc(i32 %whole)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out_of_memory, label %place
out_of_memory:
  ret ptr null
place:
  %end = getelementptr i8, ptr %block, i32 %room
  %mask = sub i32 0, %room
  %object = call ptr @llvm.ptrmask.p0.i32(ptr %end, i32 %mask)
  %before = getelementptr i8, ptr %object, i32 -4
  store ptr %block, ptr %before
  ret ptr %object
}

define linkonce_odr hidden noalias nonnull ptr @_Znaj(i32 %size) {
  %block = call ptr @_Znwj(i32 %size)
  ret ptr %block
}

define linkonce_odr hidden noalias nonnull ptr @_ZnajSt11align_val_t(i32 %size, i32 %align) {
  %block = call ptr @_ZnwjSt11align_val_t(i32 %size, i32 %align)
  ret ptr %block
}

define linkonce_odr hidden noalias ptr @_ZnajRKSt9nothrow_t(i32 %size, ptr %nothrow) {
  %block = call ptr @_ZnwjRKSt9nothrow_t(i32 %size, ptr %nothrow)
  ret ptr %block
}

define linkonce_odr hidden noalias ptr @_ZnajSt11align_val_tRKSt9nothrow_t(i32 %size, i32 %align, ptr %nothrow) {
  %block = call ptr @_ZnwjSt11align_val_tRKSt9nothrow_t(i32 %size, i32 %align, ptr %nothrow)
  ret ptr %block
}

; operator delete: the size says nothing that the heap does not know; the alignment says where the block starts.

define linkonce_odr hidden void @_ZdlPv(ptr %block) {
  call void @free(ptr %block)
  ret void
}

define linkonce_odr hidden void @_ZdlPvSt11align_val_t(ptr %object, i32 %align) {
  %nothing = icmp eq ptr %object, null
  br i1 %nothing, label %done, label %release
release:
  %before = getelementptr i8, ptr %object, i32 -4
  %block = load ptr, ptr %before
  call void @free(ptr %block)
  br label %done
done:
  ret void
}

define linkonce_odr hidden void @_ZdlPvj(ptr %object, i32 %size) {
  call void @_ZdlPv(ptr %object)
  ret void
}

define linkonce_odr hidden void @_ZdlPvRKSt9nothrow_t(ptr %object, ptr %nothrow) {
  call void @_ZdlPv(ptr %object)
  ret void
}

define linkonce_odr hidden void @_ZdlPvjSt11align_val_t(ptr %object, i32 %size, i32 %align) {
  call void @_ZdlPvSt11align_val_t(ptr %object, i32 %align)
  ret void
}

define linkonce_odr hidden void @_ZdlPvSt11align_val_tRKSt9nothrow_t(ptr %object, i32 %align, ptr %nothrow) {
  call void @_ZdlPvSt11align_val_t(ptr %object, i32 %align)
  ret void
}

define linkonce_odr hidden void @_ZdaPv(ptr %object) {
  call void @_ZdlPv(ptr %object)
  ret void
}

define linkonce_odr hidden void @_ZdaPvj(ptr %object, i32 %size) {
  call void @_ZdlPv(ptr %object)
  ret void
}

define linkonce_odr hidden void @_ZdaPvRKSt9nothrow_t(ptr %object, ptr %nothrow) {
  call void @_ZdlPv(ptr %object)
  ret void
}

define linkonce_odr hidden void @_ZdaPvSt11align_val_t(ptr %object, i32 %align) {
  call void @_ZdlPvSt11align_val_t(ptr %object, i32 %align)
  ret void
}

define linkonce_odr hidden void @_ZdaPvjSt11align_val_t(ptr %object, i32 %size, i32 %align) {
  call void @_ZdlPvSt11align_val_t(ptr %object, i32 %align)
  ret void
}

define linkonce_odr hidden void @_ZdaPvSt11align_val_tRKSt9nothrow_t(ptr %object, i32 %align, ptr %nothrow) {
  call void @_ZdlPvSt11align_val_t(ptr %object, i32 %align)
  ret void
}

; Static locals. Byte 0 of the guard: the object is there. Byte 1: some task makes it now; others wait for that task.

define linkonce_odr hidden i32 @__cxa_guard_acquire(ptr %guard) {
  %making = getelementptr i8, ptr %guard, i32 1
  br label %look
look:
  call void @vPortEnterCritical()
  %made = load volatile i8, ptr %guard
  %busy = load volatile i8, ptr %making
  %is_made = icmp ne i8 %made, 0
  br i1 %is_made, label %leave, label %check
leave:
  call void @vPortExitCritical()
  ret i32 0
check:
  %is_busy = icmp ne i8 %busy, 0
  br i1 %is_busy, label %wait, label %take
wait:
  call void @vPortExitCritical()
  call void @vTaskDelay(i32 1)
  br label %look
take:
  store volatile i8 1, ptr %making
  call void @vPortExitCritical()
  ret i32 1
}

define linkonce_odr hidden void @__cxa_guard_release(ptr %guard) {
  %making = getelementptr i8, ptr %guard, i32 1
  store volatile i8 1, ptr %guard
  store volatile i8 0, ptr %making
  ret void
}

define linkonce_odr hidden void @__cxa_guard_abort(ptr %guard) {
  %making = getelementptr i8, ptr %guard, i32 1
  store volatile i8 0, ptr %making
  ret void
}

; Ends without a way back. Their names show in the backtrace.

define linkonce_odr hidden void @__cxa_pure_virtual() noinline noreturn {
  call void @abort()
  unreachable
}

define linkonce_odr hidden void @__cxa_deleted_virtual() noinline noreturn {
  call void @abort()
  unreachable
}

define linkonce_odr hidden void @__cxa_throw_bad_array_new_length() noinline noreturn {
  call void @abort()
  unreachable
}

define linkonce_odr hidden void @__cxa_bad_cast() noinline noreturn {
  call void @abort()
  unreachable
}

define linkonce_odr hidden void @__cxa_bad_typeid() noinline noreturn {
  call void @abort()
  unreachable
}

define linkonce_odr hidden void @_ZSt9terminatev() noinline noreturn {
  call void @abort()
  unreachable
}
