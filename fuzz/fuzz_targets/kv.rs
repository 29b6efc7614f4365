//! What clients of kv send, in pieces and while time passes; and snapshots from anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_services::fuzzing::kv(input));
