//! The firmware's table of contracts as Rust source, for the build script of `firmware/device`.

use crate::error::HintError;
use crate::hint_set::HintSet;
use crate::lower::NoFacts;
use std::fmt::Write;

/// Writes `pub static HOST_CONTRACTS: &[HostContract]`, sorted by name, for a crate that depends on espb-format.
///
/// # Errors
/// Every hint that is not complete in itself: the firmware sees no calls from which to complete one, so it needs a
/// prototype, sizes and callback signatures.
pub fn emit_rust_table(hints: &HintSet) -> Result<String, Vec<HintError>> {
    let mut table = String::from(
        "/// What the firmware knows about each host function, sorted by name.\n\
         pub static HOST_CONTRACTS: &[::espb_format::contract::HostContract] = &[\n",
    );
    let mut errors = Vec::new();
    for hint in hints.iter() {
        let entry = hint
            .signature()
            .ok_or_else(|| {
                let message = format!("`{}` has no prototype, which the firmware needs", hint.name);
                let help = format!("write it behind the name, e.g. `{}(i32, ptr) -> i32: …`", hint.name);
                hint.error(hint.column, message, help)
            })
            .and_then(|signature| {
                let contract = hint.contract(&signature, &NoFacts)?;
                let bytes = contract
                    .encode(&signature)
                    .map_err(|rule| hint.error(hint.column, rule.to_string(), "see specs/contracts.md"))?;
                Ok((signature, contract.flags, bytes))
            });
        match entry {
            Ok((signature, flags, bytes)) => {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    table,
                    "    ::espb_format::contract::HostContract {{ name: {:?}, signature: {:?}, immeta: &{:?}, cbmeta: &{:?}, \
                     flags: ::espb_format::contract::Flags({}) }},",
                    hint.name,
                    signature.encode(),
                    bytes.immeta,
                    bytes.cbmeta,
                    flags.0
                );
            }
            Err(error) => errors.push(error),
        }
    }
    table.push_str("];\n");
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}
