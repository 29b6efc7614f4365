//! Frames, time and commands for one or two whole nodes.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    locum_appliance::fuzzing::appliance(input, locum_services::fuzzing::well_known);
});
