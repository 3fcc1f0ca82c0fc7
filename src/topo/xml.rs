//! Reading hwloc's XML, versions 2 and 3: cores, memory and GPUs of a recorded node. Pure Rust: documents come from users.

use crate::files::clean_name;
use crate::limits::XML_BYTES_MAX;
use crate::{Core, Gpu, Inventory, Numa, TopoError, Vendor};
use flux_sys::limits::CPUS_MAX;
use roxmltree::{Document, Node, ParsingOptions};

/// Parses a topology. Ids are logical indexes: positions in the document.
///
/// # Errors
/// When it is not XML, not a topology of version 2 or later, has no core, or is over [`XML_BYTES_MAX`].
pub fn parse(text: &str) -> Result<Inventory, TopoError> {
    let fail = |what: String| TopoError::Xml { what };
    if text.len() > XML_BYTES_MAX {
        return Err(fail(format!("{} bytes, over the limit of {XML_BYTES_MAX}", text.len())));
    }
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| fail(error.to_string()))?;
    let topology = document.root_element();
    if !topology.has_tag_name("topology") {
        return Err(fail(format!("its root is <{}>", clean_name(topology.tag_name().name()))));
    }
    if !topology.attribute("version").is_some_and(|version| version.starts_with(['2', '3'])) {
        return Err(fail("its version is not 2 or 3".to_string()));
    }
    let mut inventory = Inventory::default();
    let mut packages = 0;
    // Document order is the order of logical indexes.
    for node in topology.descendants().filter(|node| node.has_tag_name("object")) {
        match node.attribute("type").unwrap_or_default() {
            "Package" => packages += 1,
            "Core" => inventory.cores.push(core(node, inventory.cores.len() as u32, packages)?),
            "NUMANode" => inventory.numa.push(numa(node)?),
            "PCIDev" => inventory.gpus.extend(gpu(node, inventory.gpus.len() as u32)),
            _ => (),
        }
    }
    if inventory.cores.is_empty() {
        return Err(fail("it has no cores".to_string()));
    }
    for core in &mut inventory.cores {
        let holds = |node: &&Numa| node.cpus.binary_search(&core.cpus[0]).is_ok();
        core.numa = inventory.numa.iter().find(holds).map(|node| node.id);
    }
    Ok(inventory)
}

/// The name of the machine that a topology describes; `None` if it has none, or is none.
pub fn hostname(text: &str) -> Option<String> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let machine = document.root_element().children().find(|node| node.has_tag_name("object"))?;
    info(machine, "HostName").filter(|name| !name.is_empty())
}

fn core(node: Node<'_, '_>, id: u32, packages: u32) -> Result<Core, TopoError> {
    let cpus = cpuset(node)?;
    if cpus.is_empty() {
        return Err(TopoError::Xml { what: format!("core {id} has no processors") });
    }
    Ok(Core { id, cpus, package: packages.saturating_sub(1), numa: None })
}

fn numa(node: Node<'_, '_>) -> Result<Numa, TopoError> {
    let number = |name: &str| node.attribute(name).and_then(|text| text.parse::<u64>().ok());
    let id = number("os_index").and_then(|id| u32::try_from(id).ok());
    let id = id.ok_or_else(|| TopoError::Xml { what: "a NUMA node has no os_index".to_string() })?;
    Ok(Numa { id, memory_bytes: number("local_memory").unwrap_or(0), cpus: cpuset(node)? })
}

/// hwloc writes `0x00000001,0x00000003`: 32 bits each, the highest first; leading words may be empty, a set without an end
/// begins with `0xf...f`.
fn cpuset(node: Node<'_, '_>) -> Result<Vec<u32>, TopoError> {
    let text = node.attribute("cpuset").unwrap_or_default();
    let fail = || TopoError::Xml { what: format!("bad cpuset {:?}", clean_name(text)) };
    let mut cpus = Vec::new();
    for (index, word) in text.rsplit(',').enumerate() {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let bits = if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).map_err(|_| fail())? };
        let base = u32::try_from(index * 32).ok().filter(|base| *base < CPUS_MAX).ok_or_else(fail)?;
        cpus.extend((0..32).filter(|bit| bits & (1 << bit) != 0).map(|bit| base + bit));
    }
    Ok(cpus)
}

/// A PCI device that can compute: one that hwloc saw as a co-processor, or whose kind is known to be one.
fn gpu(node: Node<'_, '_>, id: u32) -> Option<Gpu> {
    // `0302 [10de:20b0] [10de:134f] a1`
    let kind = node.attribute("pci_type")?;
    let class = kind.get(..4)?;
    let vendor = match kind.split_once('[')?.1.get(..4)? {
        "10de" => Vendor::Nvidia,
        "1002" => Vendor::Amd,
        "8086" => Vendor::Intel,
        _ => Vendor::Other,
    };
    let children = || node.children().filter(|child| child.has_tag_name("object"));
    let name_of = |child: &Node<'_, '_>| child.attribute("name").unwrap_or_default().to_string();
    let is_compute = |name: &str| ["cuda", "rsmi", "ze", "opencl"].iter().any(|prefix| name.starts_with(prefix));
    let seen = children().any(|child| is_compute(&name_of(&child)));
    let known = match vendor {
        Vendor::Nvidia => class == "0302",
        Vendor::Amd => class == "0380" || class == "0302" || class == "1200",
        Vendor::Intel => class == "0380",
        Vendor::Other => false,
    };
    if !seen && !known {
        return None;
    }
    let model = info(node, "PCIDevice").or_else(|| children().find_map(|child| info(child, "GPUModel")));
    let uuid = children().find_map(|child| info(child, "NVIDIAUUID").or_else(|| info(child, "AMDUUID")));
    let pci = clean_name(node.attribute("pci_busid").unwrap_or_default());
    Some(Gpu { id, vendor, model: model.unwrap_or_default(), pci, uuid, numa: None })
}

fn info(node: Node<'_, '_>, name: &str) -> Option<String> {
    let found = node.children().find(|child| child.has_tag_name("info") && child.attribute("name") == Some(name))?;
    found.attribute("value").map(clean_name)
}
