//! Names that have a fixed meaning in the public headers of FreeRTOS, ESP-IDF and the C library, and the verbs by which
//! their functions say that an object begins or ends.
//!
//! Never names a function: those are described in hints files.

use espb_format::contract::HandleKind;

/// The kind of object of which a value of the type `name` is a handle.
pub fn handle(name: &str) -> Option<HandleKind> {
    Some(match name {
        "TaskHandle_t" => HandleKind::Task,
        "QueueHandle_t" | "QueueSetHandle_t" | "QueueSetMemberHandle_t" | "SemaphoreHandle_t" => HandleKind::Queue,
        "TimerHandle_t" => HandleKind::Timer,
        "EventGroupHandle_t" => HandleKind::EventGroup,
        "StreamBufferHandle_t" | "MessageBufferHandle_t" => HandleKind::StreamBuffer,
        "esp_timer_handle_t" => HandleKind::EspTimer,
        "nvs_handle_t" | "nvs_handle" => HandleKind::Nvs,
        _ => return None,
    })
}

/// The kind of object that is used through pointers to the type `name`.
pub fn object(name: &str) -> Option<HandleKind> {
    (name == "FILE").then_some(HandleKind::File)
}

/// Whether a value of the type `name` is the address of variadic arguments.
pub fn is_va_list(name: &str) -> bool {
    matches!(name, "va_list" | "__gnuc_va_list" | "__builtin_va_list")
}

/// Whether a value of the type `name` is a number of bytes or elements.
pub fn is_length(name: &str) -> bool {
    matches!(name, "size_t" | "ssize_t" | "rsize_t")
}

/// Whether a function of this name ends the object it is given.
pub fn releases(function: &str) -> bool {
    has_word(function, &["delete", "close", "free", "destroy"])
}

/// Whether a function of this name makes the object it returns.
pub fn creates(function: &str) -> bool {
    has_word(function, &["create", "open", "new", "alloc"])
}

/// Whether a function of this name takes its arguments apart as `scanf` does.
pub fn scans(function: &str) -> bool {
    function.contains("scanf")
}

/// Whether one of `words` is among the words of a name in any of the usual spellings: `vTaskDelete`, `nvs_close`, `fopen`.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut parts = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && small) {
            parts.push(String::new());
        }
        small = c.is_lowercase();
        if let Some(part) = parts.last_mut().filter(|_| c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    parts.iter().any(|part| words.iter().any(|word| part == word || part.strip_prefix('f') == Some(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_found_in_the_usual_spellings_and_only_as_words() {
        for name in ["vTaskDelete", "esp_timer_delete", "nvs_close", "fclose", "vEventGroupDelete"] {
            assert!(releases(name), "{name}");
        }
        for name in ["xTaskUndeleted", "enclose_it", "vTaskSuspend", "uxFreeness"] {
            assert!(!releases(name), "{name}");
        }
        assert!(creates("xQueueGenericCreate") && creates("fopen") && !creates("xTaskGetCurrentTaskHandle"));
    }
}
