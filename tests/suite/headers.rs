//! The headers that modules are compiled against promise what the firmware's kernel keeps.

use std::collections::BTreeMap;
use std::fs;

use crate::compile::root;

/// Names and values of the macros that a configuration header defines on one line.
fn macros(path: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines()
        .filter_map(|line| line.strip_prefix("#define "))
        .filter_map(|rest| rest.split_once(char::is_whitespace))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[test]
fn what_modules_may_use_exists_in_the_kernel() {
    let promised = macros("fixtures/include/FreeRTOSConfig.h");
    let kept = macros("firmware/device/kernel/FreeRTOSConfig.h");
    let shared = [
        "configTICK_RATE_HZ",
        "configMAX_PRIORITIES",
        "configMAX_TASK_NAME_LEN",
        "configTICK_TYPE_WIDTH_IN_BITS",
        "configTASK_NOTIFICATION_ARRAY_ENTRIES",
    ];
    for name in shared {
        assert!(promised.contains_key(name), "modules are not told {name}");
        assert_eq!(promised.get(name), kept.get(name), "{name}");
    }
    let features = |name: &str| name.starts_with("INCLUDE_") || name.starts_with("configUSE_");
    // What these are for the firmware does itself, since the kernel would need a C library for it.
    let own = ["configUSE_STATS_FORMATTING_FUNCTIONS"];
    let promises = promised.iter().filter(|(name, value)| features(name) && *value == "1");
    for (name, _) in promises.filter(|(name, _)| !own.contains(&name.as_str())) {
        assert_eq!(
            kept.get(name).map(String::as_str),
            Some("1"),
            "modules may use {name}, the kernel is built without it"
        );
    }
}
