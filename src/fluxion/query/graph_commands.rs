//! Commands about the graph.

use super::{Host, Session};
use crate::graph::Status;
use crate::reader::Reader;
use flux_types::Idset;
use std::io;

impl<H: Host> Session<'_, H> {
    pub(super) fn attach(&mut self, words: &[&str]) -> io::Result<bool> {
        let Ok(text) = self.host.read(words[1]) else { return self.error(&format!("can't open {}", words[1])) };
        match self.engine.grow(Reader::Jgf, &text) {
            Ok(()) => Ok(true),
            Err(error) => self.error(&format!("can't attach JGF subgraph \nERROR: {error}")),
        }
    }

    pub(super) fn remove(&mut self, words: &[&str]) -> io::Result<bool> {
        let result = match words[2] {
            "true" => self.engine.remove_path(words[1]),
            "false" => {
                let Ok(ranks) = Idset::parse(words[1]) else { return self.error("failed to decode ranks.") };
                self.engine.remove_ranks(&ranks.iter().filter_map(|rank| i32::try_from(rank).ok()).collect())
            }
            _ => return self.error("invalid path boolean input "),
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) => self.error(&format!("can't remove subgraph \nERROR: {error}")),
        }
    }

    pub(super) fn set_property(&mut self, words: &[&str]) -> io::Result<bool> {
        let pair = words[2].split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let Some((key, value)) = pair else {
            writeln!(
                self.streams.results,
                "Incorrect input format. \nPlease use `set-property <resource> PROPERTY=VALUE`."
            )?;
            return Ok(true);
        };
        let found = self.engine.graph.at_path(words[1]);
        if found.is_empty() {
            writeln!(self.streams.results, "Couldn't find path {} in resource graph.", words[1])?;
        }
        for at in found {
            self.engine.graph.set_property(at, key, value);
        }
        Ok(true)
    }

    pub(super) fn get_property(&mut self, words: &[&str]) -> io::Result<bool> {
        let found = self.engine.graph.at_path(words[1]);
        if found.is_empty() {
            writeln!(self.streams.results, "Could not find path {} in resource graph.", words[1])?;
        }
        for at in found {
            let vertex = self.engine.graph.vertex(at);
            if vertex.properties().next().is_none() {
                let id = vertex.uniq_id;
                writeln!(self.streams.results, "No properties were found for {} (vtx's uniq_id={id}).", words[1])?;
            }
            for (key, value) in vertex.properties() {
                writeln!(self.streams.results, "{key}={value}")?;
            }
        }
        Ok(true)
    }

    pub(super) fn set_status(&mut self, words: &[&str]) -> io::Result<bool> {
        if self.engine.graph.at_path(words[1]).is_empty() {
            writeln!(self.streams.results, "Could not find path {} in resource graph.", words[1])?;
            return Ok(true);
        }
        let Some(status) = Status::from_name(words[2]) else { return self.error("unrecognized status") };
        self.engine.set_path_status(words[1], status);
        Ok(true)
    }

    pub(super) fn get_status(&mut self, words: &[&str]) -> io::Result<bool> {
        let found = self.engine.graph.at_path(words[1]);
        if found.is_empty() {
            writeln!(self.streams.results, "Could not find path {} in resource graph.", words[1])?;
        }
        for at in found {
            let status = self.engine.graph.vertex(at).status.name();
            writeln!(self.streams.results, "{} is {status}", words[1])?;
        }
        Ok(true)
    }
}
