//! GPUs from what their drivers show: NVIDIA's in `/proc`, AMD's compute driver (KFD) and others in `/sys`.
//!
//! Display adapters without a compute driver (the board controllers of servers, for one) are none of a job's business.

use crate::files::{clean_name, names, number, numbered, text};
use crate::{Gpu, Vendor};
use std::path::Path;

const PCI_VENDOR_AMD: u64 = 0x1002;
const PCI_VENDOR_INTEL: u64 = 0x8086;
/// PCI class "display controller, other": what accelerators without a screen are. Integrated graphics are 0x0300.
const PCI_CLASS_DISPLAY_OTHER: u64 = 0x0380;

/// All GPUs, by vendor, numbered.
pub(crate) fn scan(root: &Path) -> Vec<Gpu> {
    let mut gpus = nvidia(root);
    gpus.extend(amd(root));
    gpus.extend(intel(root));
    for (id, gpu) in (0..).zip(&mut gpus) {
        gpu.id = id;
        gpu.numa = numa_of(root, &gpu.pci);
    }
    gpus
}

/// In PCI order, which is that of CUDA with `CUDA_DEVICE_ORDER=PCI_BUS_ID`.
fn nvidia(root: &Path) -> Vec<Gpu> {
    let dir = root.join("proc/driver/nvidia/gpus");
    let mut gpus = Vec::new();
    for pci in names(&dir) {
        let text = text(&dir.join(&pci).join("information")).unwrap_or_default(); // Older drivers show a directory only.
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(clean_name(line))
        };
        if field("GPU Excluded").is_some_and(|excluded| excluded == "Yes") {
            continue; // The administrator hid it from CUDA.
        }
        let uuid = field("GPU UUID").filter(|uuid| !uuid.contains('?')); // Unknown until the driver first used it.
        gpus.push(Gpu {
            id: 0,
            vendor: Vendor::Nvidia,
            model: field("Model").unwrap_or_default(),
            pci,
            uuid,
            numa: None,
        });
    }
    gpus
}

/// In the order of the KFD's nodes, which is that of ROCm. Nodes of processors have no GPU id; nodes that a container may not
/// use cannot be read.
fn amd(root: &Path) -> Vec<Gpu> {
    let dir = root.join("sys/class/kfd/kfd/topology/nodes");
    let mut gpus = Vec::new();
    for (_, name) in numbered(&dir, "") {
        let dir = dir.join(name);
        if number(&dir.join("gpu_id")) == Some(0) {
            continue;
        }
        let Some(properties) = text(&dir.join("properties")) else { continue };
        let field = |name: &str| -> Option<u64> {
            properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim().parse().ok()
        };
        if field("simd_count").unwrap_or(0) == 0 || field("vendor_id") != Some(PCI_VENDOR_AMD) {
            continue;
        }
        let (domain, location) = (field("domain").unwrap_or(0), field("location_id").unwrap_or(0));
        let pci = format!("{domain:04x}:{:02x}:{:02x}.{}", location >> 8 & 0xff, location >> 3 & 0x1f, location & 7);
        let uuid = field("unique_id").filter(|id| *id != 0).map(|id| format!("{id:016x}"));
        let model = text(&dir.join("name")).map(|name| clean_name(&name)).unwrap_or_default();
        gpus.push(Gpu { id: 0, vendor: Vendor::Amd, model, pci, uuid, numa: None });
    }
    gpus
}

/// Accelerators with a graphics driver's node, in PCI order.
fn intel(root: &Path) -> Vec<Gpu> {
    let dir = root.join("sys/class/drm");
    let mut gpus = Vec::new();
    for (_, card) in numbered(&dir, "card") {
        let device = dir.join(card).join("device");
        let class = number(&device.join("class")).unwrap_or(0) >> 8;
        if number(&device.join("vendor")) != Some(PCI_VENDOR_INTEL) || class != PCI_CLASS_DISPLAY_OTHER {
            continue;
        }
        let event = text(&device.join("uevent")).unwrap_or_default();
        let Some(pci) = event.lines().find_map(|line| line.strip_prefix("PCI_SLOT_NAME=")) else { continue };
        let model = text(&device.join("device")).map(|id| format!("Intel {}", clean_name(&id))).unwrap_or_default();
        gpus.push(Gpu { id: 0, vendor: Vendor::Intel, model, pci: clean_name(pci), uuid: None, numa: None });
    }
    gpus.sort_by(|a, b| a.pci.cmp(&b.pci));
    gpus
}

/// What NVIDIA's driver has for all GPUs together.
const NVIDIA_SHARED: [&str; 4] = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"];

/// The device files of a GPU: its own, and those that its driver has for all of them.
pub(crate) fn devices(root: &Path, gpu: &Gpu) -> Vec<String> {
    let mut all: Vec<String> = match gpu.vendor {
        Vendor::Nvidia => {
            let text = text(&root.join("proc/driver/nvidia/gpus").join(&gpu.pci).join("information"));
            let minor = text.as_deref().unwrap_or_default().lines().find_map(|line| line.strip_prefix("Device Minor:"));
            let own = minor.map(|minor| format!("/dev/nvidia{}", minor.trim()));
            own.into_iter().chain(NVIDIA_SHARED.map(str::to_owned)).collect()
        }
        Vendor::Amd => vec!["/dev/kfd".to_owned()],
        Vendor::Intel | Vendor::Other => Vec::new(),
    };
    let nodes = names(&root.join("sys/bus/pci/devices").join(&gpu.pci).join("drm"));
    let nodes = nodes.iter().filter(|name| name.starts_with("card") || name.starts_with("renderD"));
    all.extend(nodes.map(|name| format!("/dev/dri/{name}")));
    all.retain(|path| root.join(path.trim_start_matches('/')).exists());
    all
}

/// NUMA nodes that are the memory of GPUs (POWER9, Grace): not for the programs of the host.
pub(crate) fn memory_nodes(root: &Path) -> Vec<u32> {
    let dir = root.join("proc/driver/nvidia/gpus");
    let node = |pci: String| {
        let status = text(&dir.join(pci).join("numa_status"))?;
        status.lines().find_map(|line| line.strip_prefix("Node:"))?.trim().parse().ok()
    };
    names(&dir).into_iter().filter_map(node).collect()
}

/// The kernel writes -1 where the machine does not say.
fn numa_of(root: &Path, pci: &str) -> Option<u32> {
    let node = number(&root.join("sys/bus/pci/devices").join(pci).join("numa_node"))?;
    u32::try_from(node).ok()
}
