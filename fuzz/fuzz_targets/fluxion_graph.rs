//! Resource graphs in every format, and a job on whatever comes of them.
#![no_main]
use flux_fluxion::{Fluxion, FluxionConfig, MatchOp, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for reader in [Reader::Grug, Reader::Jgf, Reader::Rv1exec, Reader::Hwloc] {
        let Ok(mut fluxion) = Fluxion::from_document(reader, text, &FluxionConfig::default()) else { continue };
        let jobspec = serde_json::json!({
            "version": 1,
            "resources": [{"type": "slot", "count": 1, "label": "s", "with": [{"type": "core", "count": 1}]}],
            "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}],
            "attributes": {"system": {"duration": 1}}
        });
        if let Ok(got) = fluxion.match_job(MatchOp::Allocate, 1, &jobspec, 0) {
            let _ = fluxion.partial_cancel(1, &got.r);
        }
        let _ = fluxion.find(text, None, 0);
    }
});
