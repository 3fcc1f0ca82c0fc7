//! Resource sets (RFC 20): what reads also writes, and the algebra holds on it.
#![no_main]
use flux_types::ResourceSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut set) = ResourceSet::parse(text) else { return };
    assert_eq!(ResourceSet::parse(&set.encode()).as_ref(), Ok(&set));
    assert!(set.diff(&set).is_empty());
    assert_eq!(set.intersect(&set).dumps(), set.dumps());
    set.remap();
    assert!(set.ranks().last().is_none_or(|last| last as usize + 1 == set.nnodes()));
});
