//! Small tools around recipes and jobspecs.

use flux_fluxion::dot_of_recipe;
use flux_fluxion::jobspec::Jobspec;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

fn words(args: impl Iterator<Item = OsString>) -> Vec<String> {
    args.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// grug2dot: draws a recipe into a file of the same name that ends in `.dot`, in the working directory.
pub fn grug2dot(args: impl Iterator<Item = OsString>) -> ExitCode {
    const USAGE: &str = "usage: grug2dot [-m|--more] RECIPE.graphml";
    let (options, files): (Vec<String>, Vec<String>) = words(args).into_iter().partition(|word| word.starts_with('-'));
    if options.iter().any(|option| option == "-h" || option == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let is_known = |option: &String| option == "-m" || option == "--more";
    let [file] = &files[..] else { return fail(1, USAGE) };
    if !options.iter().all(is_known) {
        return fail(1, USAGE);
    }
    let dot = match read(file).and_then(|text| dot_of_recipe(&text, !options.is_empty()).map_err(|e| e.to_string())) {
        Ok(dot) => dot,
        Err(error) => return fail(1, &format!("Error in reading {file}: {error}")),
    };
    let target = Path::new(file).with_extension("dot");
    let target = target.file_name().unwrap_or(target.as_os_str()).to_os_string();
    match fs::write(&target, dot) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("Error in writing {}: {error}", target.display())),
    }
}

/// flux jobspec-validate: 0 if all files, or standard input, are jobspecs; 1 if one cannot be read; 2 if one is none.
pub fn jobspec_validate(args: impl Iterator<Item = OsString>) -> ExitCode {
    let files = words(args);
    let mut texts = Vec::new();
    for file in &files {
        match read(file) {
            Ok(text) => texts.push((file.clone(), text)),
            Err(_) => return fail(1, &format!("flux-jobspec-validate: Unable to open file \"{file}\"")),
        }
    }
    if files.is_empty() {
        let mut text = String::new();
        if let Err(error) = io::stdin().lock().read_to_string(&mut text) {
            return fail(1, &format!("flux-jobspec-validate: {error}"));
        }
        texts.push(("standard input".into(), text));
    }
    for (name, text) in texts {
        if let Err(error) = Jobspec::parse(&text) {
            return fail(2, &format!("flux-jobspec-validate: {name}: {error}"));
        }
    }
    ExitCode::SUCCESS
}
