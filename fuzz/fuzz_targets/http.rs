//! Any bytes at all, sent to the http service by a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_services::fuzzing::http(input));
