use super::*;
use std::path::PathBuf;
use std::process::Command;

/// Machines with processors; the first three are written by hand, the others recorded.
const MACHINES: &[&str] = &[
    "nvidia-a100",
    "amd-mi250x",
    "intel-interleaved",
    "nvidia-power9-v100",
    "nvidia-dgx-gb10",
    "intel-hybrid",
    "amd-interlagos",
    "intel-vector-engine",
];

/// A recorded machine, laid out in a directory. One line of a recording is `path = content`, with `\n` for a newline.
struct Machine {
    root: PathBuf,
}

impl Machine {
    fn new(name: &str) -> Machine {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.tree"));
        let thread = std::thread::current().name().unwrap_or_default().replace("::", "-");
        let root = std::env::temp_dir().join(format!("flux-topo-{name}-{thread}-{}", std::process::id()));
        for line in std::fs::read_to_string(file).unwrap().lines().filter(|line| !line.starts_with('#')) {
            let (path, content) = line.split_once(" = ").unwrap_or_else(|| panic!("{name}: {line}"));
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.replace("\\n", "\n") + "\n").unwrap();
        }
        Machine { root }
    }

    fn scan(&self, allowed: &Allowed) -> Inventory {
        scan_at(&self.root, allowed).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn cpus_by_core(inventory: &Inventory) -> Vec<Vec<u32>> {
    inventory.cores.iter().map(|core| core.cpus.clone()).collect()
}

#[test]
fn a_gpu_has_device_files_of_its_own_and_some_that_all_have() {
    let rows = [
        (
            "nvidia-a100",
            vec!["dev/nvidia0", "dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm"],
            vec!["nvidia1", "nvidiactl", "nvidia-uvm"],
        ),
        ("amd-mi210", vec!["dev/kfd", "dev/dri/renderD129"], vec!["kfd", "dri/renderD129"]),
    ];
    for (name, files, want) in rows {
        let machine = Machine::new(name);
        let gpus = machine.scan(&Allowed::All).gpus;
        let gpu = gpus.get(1).unwrap_or(&gpus[0]);
        let node = |file: &str| file.strip_prefix("dev/dri/").map(str::to_owned);
        let links = files
            .iter()
            .filter_map(|file| node(file))
            .map(|node| format!("sys/bus/pci/devices/{}/drm/{node}/dev", gpu.pci));
        for file in files.iter().map(|file| (*file).to_owned()).chain(links) {
            let path = machine.root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let want: Vec<String> = want.iter().map(|file| format!("/dev/{file}")).collect();
        assert_eq!(gpu.devices_at(&machine.root), want, "{name}");
    }
}

#[test]
fn nvidia_gpus_come_in_pci_order_without_hidden_ones() {
    let inventory = Machine::new("nvidia-a100").scan(&Allowed::All);
    let shown: Vec<_> = inventory.gpus.iter().map(|gpu| (gpu.id, gpu.vendor, gpu.pci.as_str(), gpu.numa)).collect();
    let want = [
        (0, Vendor::Nvidia, "0000:07:00.0", Some(0)),
        (1, Vendor::Nvidia, "0000:0f:00.0", Some(0)),
        (2, Vendor::Nvidia, "0000:90:00.0", Some(1)),
    ];
    assert_eq!(shown, want);
    assert_eq!(inventory.gpus[0].model, "NVIDIA A100-SXM4-40GB");
    assert_eq!(inventory.gpus[0].uuid.as_deref(), Some("GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a00"));
    assert_eq!(inventory.cores.len(), 8);
    assert_eq!(inventory.cores[5], Core { id: 5, cpus: vec![5, 13], package: 1, numa: Some(1) });
    assert_eq!(inventory.memory_bytes(), (528_218_112 + 528_482_304) * 1024);
}

#[test]
fn amd_gpus_come_in_the_order_of_their_driver() {
    let inventory = Machine::new("amd-mi250x").scan(&Allowed::All);
    let shown: Vec<_> = inventory.gpus.iter().map(|gpu| (gpu.id, gpu.vendor, gpu.pci.as_str(), gpu.numa)).collect();
    let want = [
        (0, Vendor::Amd, "0000:d1:00.0", Some(3)),
        (1, Vendor::Amd, "0000:d6:00.0", Some(3)),
        (2, Vendor::Amd, "0000:c1:00.0", Some(0)),
        (3, Vendor::Amd, "0000:c6:00.0", Some(0)),
    ];
    assert_eq!(shown, want);
    assert_eq!(
        (inventory.gpus[0].model.as_str(), inventory.gpus[0].uuid.as_deref()),
        ("aldebaran", Some("a2fabb67a6729ac3"))
    );
    assert_eq!(inventory.cores[7].numa, Some(3));
}

#[test]
fn gpus_are_found_where_drivers_show_little_and_their_memory_is_not_the_nodes() {
    let inventory = Machine::new("nvidia-power9-v100").scan(&Allowed::All);
    let shown: Vec<_> = inventory.gpus.iter().map(|gpu| (gpu.vendor, gpu.pci.as_str(), gpu.numa)).collect();
    let want = ["0004:05:00.0", "0004:06:00.0", "0006:00:00.0", "0007:00:00.0", "0035:04:00.0", "0035:05:00.0"];
    assert_eq!(shown.iter().map(|(_, pci, _)| *pci).collect::<Vec<_>>(), want);
    assert!(shown.iter().all(|(vendor, _, _)| *vendor == Vendor::Nvidia));
    assert_eq!(inventory.numa.iter().map(|node| node.id).collect::<Vec<_>>(), [0, 8]);
}

#[test]
fn partitions_of_amd_gpus_are_gpus_of_their_own() {
    for (name, count, first, last) in [
        ("amd-mi210", 8, "0000:63:00.0", "0000:a3:00.0"),
        ("amd-mi308x", 32, "0000:0a:00.0", "0001:c9:00.3"),
        ("amd-mi300x-cpx", 63, "0000:05:00.0", "0000:e5:00.6"),
    ] {
        let inventory = Machine::new(name).scan(&Allowed::All);
        assert_eq!(inventory.gpus.len(), count, "{name}");
        let mut places: Vec<_> = inventory.gpus.iter().map(|gpu| gpu.pci.as_str()).collect();
        assert_eq!((places[0], places[count - 1]), (first, last), "{name}");
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), count, "{name}: each has a place of its own");
        assert!(inventory.gpus.iter().all(|gpu| gpu.vendor == Vendor::Amd));
    }
}

#[test]
fn integrated_graphics_are_no_resource() {
    let inventory = Machine::new("intel-interleaved").scan(&Allowed::All);
    let shown: Vec<_> = inventory.gpus.iter().map(|gpu| (gpu.id, gpu.vendor, gpu.pci.as_str(), gpu.numa)).collect();
    assert_eq!(shown, [(0, Vendor::Intel, "0000:4d:00.0", Some(0)), (1, Vendor::Intel, "0000:9a:00.0", Some(1))]);
}

#[test]
fn cores_of_one_socket_are_neighbours_even_if_processor_numbers_alternate() {
    let inventory = Machine::new("intel-interleaved").scan(&Allowed::All);
    assert_eq!(cpus_by_core(&inventory), [[0, 4], [2, 6], [1, 5], [3, 7]]);
    assert_eq!(inventory.cores.iter().map(|core| core.package).collect::<Vec<_>>(), [0, 0, 1, 1]);
}

#[test]
fn cores_are_numbered_within_what_is_allowed() {
    let machine = Machine::new("nvidia-a100");
    let some = machine.scan(&Allowed::These([3, 4, 12, 14, 99].into_iter().collect()));
    assert_eq!(cpus_by_core(&some), [vec![3], vec![4, 12], vec![14]]);
    assert_eq!(some.cores.iter().map(|core| core.id).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(some.cpus_of([1, 2]).unwrap().iter().collect::<Vec<_>>(), [4, 12, 14]);
    assert_eq!(some.cpus_of([3]), None);
    let none = scan_at(&machine.root, &Allowed::These([99].into_iter().collect()));
    assert!(matches!(none, Err(TopoError::Empty)));
}

#[test]
fn a_bare_root_directory_has_one_core_per_processor_we_may_use() {
    let inventory = scan_at(Path::new("/nonexistent"), &Allowed::OfThisProcess).unwrap();
    assert_eq!(inventory.cores.len(), affinity::get(0).unwrap().len());
    assert!(inventory.gpus.is_empty() && inventory.numa.is_empty());
}

/// Prints hwloc's XML: run by other tests as a process of its own, as hwloc is pointed at a recording by its environment.
#[test]
fn helper_export() {
    if std::env::var_os("FLUX_TOPO_HELPER").is_some() {
        println!("{}", hwloc::export_xml(&Allowed::All).unwrap());
    }
}

fn hwloc_reads(machine: &Machine) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::helper_export", "--nocapture"])
        .env("FLUX_TOPO_HELPER", "1")
        .env("HWLOC_FSROOT", &machine.root)
        .env("HWLOC_THISSYSTEM", "0")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (start, end) = (text.find("<?xml"), text.find("</topology>"));
    let (Some(start), Some(end)) = (start, end) else { panic!("no XML: {text}") };
    text[start..end + "</topology>".len()].to_string()
}

#[test]
fn the_quick_scan_and_hwloc_number_cores_alike() {
    for name in MACHINES {
        let machine = Machine::new(name);
        let whole = xml::parse(&hwloc_reads(&machine)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut quick = machine.scan(&Allowed::All);
        assert_eq!(quick.cores, whole.cores, "{name}");
        for node in &mut quick.numa {
            // One recording is of fewer processors than its nodes had.
            node.cpus.retain(|cpu| whole.cores.iter().any(|core| core.cpus.contains(cpu)));
        }
        assert_eq!(quick.numa, whole.numa, "{name}");
    }
}

#[test]
fn the_quick_scan_and_hwloc_agree_on_this_machine() {
    let quick = scan(&Allowed::OfThisProcess).unwrap();
    let whole = xml::parse(&hwloc::export_xml(&Allowed::OfThisProcess).unwrap()).unwrap();
    assert_eq!(quick.cores, whole.cores);
}

#[test]
fn exported_xml_is_restricted_to_what_is_allowed() {
    let one = affinity::get(0).unwrap().iter().next().unwrap();
    let text = hwloc::export_xml(&Allowed::These([one].into_iter().collect())).unwrap();
    assert_eq!(cpus_by_core(&xml::parse(&text).unwrap()), [vec![one]]);
    let nothing = hwloc::export_xml(&Allowed::These([CPUS_TOO_FAR].into_iter().collect()));
    assert_eq!(nothing.unwrap_err().errno(), libc::EINVAL);
}

const CPUS_TOO_FAR: u32 = 9999;

/// What hwloc writes on a node with an A100 it saw through CUDA, a display adapter, and cores beyond the 32nd processor.
const WITH_GPUS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x00000001,,0x00000003">
    <object type="Package" os_index="0" cpuset="0x00000003">
      <object type="NUMANode" os_index="0" cpuset="0x00000003" local_memory="1024"/>
      <object type="Core" os_index="0" cpuset="0x00000003"/>
    </object>
    <object type="Package" os_index="1" cpuset="0x00000001,,0x0">
      <object type="Core" os_index="0" cpuset="0x00000001,,0x0"/>
    </object>
    <object type="PCIDev" pci_busid="0000:07:00.0" pci_type="0302 [10de:20b0] [10de:134f] a1">
      <info name="PCIDevice" value="GA100 [A100]"/>
      <object type="OSDev" name="cuda0" osdev_type="5"/>
      <object type="OSDev" name="nvml0" osdev_type="1"><info name="NVIDIAUUID" value="GPU-1"/></object>
    </object>
    <object type="PCIDev" pci_busid="0000:22:00.0" pci_type="0300 [1a03:2000] [1a03:2000] 41"/>
    <object type="PCIDev" pci_busid="0000:c1:00.0" pci_type="0380 [1002:7408] [1002:0b0c] 01"/>
  </object>
</topology>"#;

#[test]
fn xml_of_a_node_with_gpus_is_read() {
    let inventory = xml::parse(WITH_GPUS).unwrap();
    assert_eq!(cpus_by_core(&inventory), [vec![0, 1], vec![64]]);
    assert_eq!(
        inventory.cores.iter().map(|core| (core.package, core.numa)).collect::<Vec<_>>(),
        [(0, Some(0)), (1, None)]
    );
    assert_eq!(inventory.gpus.len(), 2);
    let first = Gpu {
        id: 0,
        vendor: Vendor::Nvidia,
        model: "GA100 [A100]".to_string(),
        pci: "0000:07:00.0".to_string(),
        uuid: Some("GPU-1".to_string()),
        numa: None,
    };
    assert_eq!(inventory.gpus[0], first);
    assert_eq!((inventory.gpus[1].id, inventory.gpus[1].vendor), (1, Vendor::Amd));
}

#[test]
fn what_is_not_a_topology_is_refused_with_a_reason() {
    let object =
        |kind: &str, rest: &str| format!(r#"<topology version="2.0"><object type="{kind}" {rest}/></topology>"#);
    let deep = format!("{}{}", "<object>".repeat(200_000), "</object>".repeat(200_000));
    let bomb = r#"<!DOCTYPE topology [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">]><topology version="2.0">&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;</topology>"#;
    let rows = [
        ("empty", String::new()),
        ("text", "hello".to_string()),
        ("another document", "<html/>".to_string()),
        ("version 1", "<topology><object/></topology>".to_string()),
        ("no cores", r#"<topology version="2.0"/>"#.to_string()),
        ("core without processors", object("Core", r#"cpuset="0x0""#)),
        ("bad processors", object("Core", r#"cpuset="0xzz""#)),
        ("endless processors", object("Core", &format!(r#"cpuset="0x1{}""#, ",".repeat(100_000)))),
        ("too long a word", object("Core", r#"cpuset="0x1ffffffff""#)),
        ("memory without number", object("NUMANode", r#"cpuset="0x1""#)),
        ("unclosed", r#"<topology version="2.0"><object"#.to_string()),
        ("deep", format!(r#"<topology version="2.0">{deep}</topology>"#)),
        ("bomb", bomb.to_string()),
    ];
    for (what, text) in rows {
        let error = xml::parse(&text).expect_err(what);
        assert_eq!(error.errno(), libc::EINVAL, "{what}: {error}");
    }
}

/// Goal: no document, however broken, makes the reader panic. Method: break good ones at random places; print the seed.
#[test]
fn broken_topologies_are_answered_with_an_error_or_an_inventory() {
    for seed in 1..3000u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        let mut bytes = WITH_GPUS.as_bytes().to_vec();
        for _ in 0..1 + random(4) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = b" <>/\"=,:x0f[&"[random(13)],
                1 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                _ => bytes.insert(at, random(256) as u8),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let outcome = std::panic::catch_unwind(|| xml::parse(&text).map(|inventory| inventory.cores.len()));
        match outcome {
            Ok(Ok(cores)) => assert!(cores > 0, "seed {seed}"),
            Ok(Err(error)) => assert_eq!(error.errno(), libc::EINVAL, "seed {seed}"),
            Err(_) => panic!("seed {seed}: panicked on {text}"),
        }
    }
}
