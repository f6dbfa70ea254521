/*
 * Configuration of the FreeRTOS kernel in the ESPB firmware. Nothing here depends on a board.
 * The headers that modules are compiled against must agree with the values that change the
 * kernel's API: tick rate, priorities, tick type, INCLUDE_*.
 */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

/* The chip has no CLINT: the tick comes from SYSTIMER through the interrupt matrix (src/kernel/tick.rs). */
#define configMTIME_BASE_ADDRESS                   0
#define configMTIMECMP_BASE_ADDRESS                0
/* SYSTIMER counts at 16 MHz; the port only computes an unused constant from this. */
#define configCPU_CLOCK_HZ                         16000000
#define configTICK_RATE_HZ                         1000
#define configTICK_TYPE_WIDTH_IN_BITS              TICK_TYPE_WIDTH_32_BITS

#define configUSE_PREEMPTION                       1
#define configUSE_TIME_SLICING                     1
#define configMAX_PRIORITIES                       25
#define configIDLE_SHOULD_YIELD                    1
#define configUSE_IDLE_HOOK                        1
#define configUSE_TICK_HOOK                        0
/* In words of 4 bytes. The idle task runs the kernel's clean-up of deleted tasks and wfi. */
#define configMINIMAL_STACK_SIZE                   256
#define configMAX_TASK_NAME_LEN                    16
/* Interrupt handlers run on their own stack, in words; they are a few calls deep. */
#define configISR_STACK_SIZE_WORDS                 512

#define configSUPPORT_STATIC_ALLOCATION            1
#define configSUPPORT_DYNAMIC_ALLOCATION           1
#define configKERNEL_PROVIDED_STATIC_MEMORY        1

#define configUSE_MUTEXES                          1
#define configUSE_RECURSIVE_MUTEXES                1
#define configUSE_COUNTING_SEMAPHORES              1
#define configUSE_QUEUE_SETS                       1
#define configQUEUE_REGISTRY_SIZE                  16
#define configUSE_TASK_NOTIFICATIONS               1
#define configTASK_NOTIFICATION_ARRAY_ENTRIES      4
#define configUSE_EVENT_GROUPS                     1
#define configUSE_STREAM_BUFFERS                   1
#define configUSE_SB_COMPLETED_CALLBACK            1
#define configUSE_APPLICATION_TASK_TAG             1
#define configUSE_TRACE_FACILITY                   1
/* The first four are the firmware's (src/kernel/tls.rs), the others the modules'. */
#define configNUM_THREAD_LOCAL_STORAGE_POINTERS    8
/* Microseconds, from the system timer (src/counters.rs). */
#define configGENERATE_RUN_TIME_STATS              1
#define portCONFIGURE_TIMER_FOR_RUN_TIME_STATS()
#define portGET_RUN_TIME_COUNTER_VALUE()           espb_run_time()

#define configUSE_TIMERS                           1
#define configTIMER_TASK_PRIORITY                  ( configMAX_PRIORITIES - 2 )
#define configTIMER_QUEUE_LENGTH                   16
/* In words. The daemon task runs the module's timer callbacks, hence the interpreter and printf. */
#define configTIMER_TASK_STACK_DEPTH               1536

/* Fill pattern and stack pointer are checked at each context switch. */
#define configCHECK_FOR_STACK_OVERFLOW             2
#define configUSE_MALLOC_FAILED_HOOK               0

#define INCLUDE_eTaskGetState                      1
#define INCLUDE_uxTaskGetStackHighWaterMark        1
#define INCLUDE_uxTaskGetStackHighWaterMark2       1
#define INCLUDE_uxTaskPriorityGet                  1
#define INCLUDE_vTaskDelay                         1
#define INCLUDE_vTaskDelete                        1
#define INCLUDE_vTaskPrioritySet                   1
#define INCLUDE_vTaskSuspend                       1
#define INCLUDE_xQueueGetMutexHolder               1
#define INCLUDE_xSemaphoreGetMutexHolder           1
#define INCLUDE_xTaskAbortDelay                    1
#define INCLUDE_xTaskDelayUntil                    1
#define INCLUDE_xTaskGetCurrentTaskHandle          1
#define INCLUDE_xTaskGetHandle                     1
#define INCLUDE_xTaskGetIdleTaskHandle             1
#define INCLUDE_xTaskGetSchedulerState             1
#define INCLUDE_xTaskResumeFromISR                 1
#define INCLUDE_xTimerPendFunctionCall             1

#ifndef __ASSEMBLER__
#include <stdint.h>
uint32_t espb_run_time( void );
/* Never returns: prints and stops (src/kernel/hooks.rs). */
void espb_kernel_assert_failed( const char * file, int line ) __attribute__( ( noreturn ) );
#define configASSERT( condition )                                    \
    do                                                               \
    {                                                                \
        if( !( condition ) )                                         \
            espb_kernel_assert_failed( __FILE_NAME__, __LINE__ );    \
    } while( 0 )
#endif

#endif
