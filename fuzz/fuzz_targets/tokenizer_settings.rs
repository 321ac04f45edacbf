#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| layerwise_fuzz::tokenizer_settings(bytes));
