//! Compiles the part of hwloc in `third_party/hwloc`: with nothing but a C compiler, and without its `configure`.

use std::path::Path;

fn main() {
    let hwloc = Path::new("../../third_party/hwloc");
    let sources = hwloc.join("src");
    println!("cargo:rerun-if-changed={}", hwloc.display());
    let entries = std::fs::read_dir(&sources).unwrap_or_else(|error| panic!("{}: {error}", sources.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    cc::Build::new()
        .files(files)
        .include(hwloc.join("include"))
        .include(hwloc.join("include/private/autogen"))
        .include(&sources)
        .define("HAVE_CONFIG_H", None)
        .define("HWLOC_INSIDE_LIBHWLOC", None)
        .define("HWLOC_PLUGINS_PATH", "\"\"")
        .define("RUNSTATEDIR", "\"/run\"")
        .flag("-fvisibility=hidden")
        .opt_level(2)
        .debug(false)
        .warnings(false)
        .compile("hwloc");
}
