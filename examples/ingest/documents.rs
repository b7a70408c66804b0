//! The documents that are sent: the package's own `cargo metadata` and its pieces, or what `--input` names.

use crate::memory::Heap;
use crate::summary::{Summary, expected_paths};
use axum::body::Bytes;
use axum::http::StatusCode;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One document, and what the service should say to it.
#[derive(Clone)]
pub struct Document {
    pub name: String,
    pub bytes: Bytes,
    pub expected: StatusCode,
}

impl Document {
    pub fn new(name: impl Into<String>, bytes: Vec<u8>, limit: usize) -> Self {
        let expected = match Summary::of(&bytes, Heap::new(expected_paths(&bytes))) {
            _ if bytes.len() > limit => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        };
        Self { name: name.into(), bytes: bytes.into(), expected }
    }
}

/// Where documents come from.
#[derive(Clone, Debug)]
pub enum Input {
    /// `examples/data/metadata.json` and its pieces.
    Own,
    Stdin,
    Path(PathBuf),
}

impl Input {
    pub fn load(&self, limit: usize) -> io::Result<Vec<Document>> {
        match self {
            Self::Own => own(limit),
            Self::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes)?;
                Ok(vec![Document::new("standard input", bytes, limit)])
            }
            Self::Path(path) if path.is_dir() => folder(path, limit),
            Self::Path(path) => Ok(vec![Document::new(path.display().to_string(), read(path)?, limit)]),
        }
    }

    pub fn describe(&self, documents: &[Document]) -> String {
        let source = match self {
            Self::Own => "cargo metadata of this package, whole and in pieces".to_owned(),
            Self::Stdin => "standard input".to_owned(),
            Self::Path(path) => path.display().to_string(),
        };
        let sizes = || documents.iter().map(|document| document.bytes.len());
        let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        let total: usize = sizes().sum();
        format!("{source}: {} documents of {least} to {most} bytes, {total} in all", documents.len())
    }
}

/// An error that names the file: "no such file" alone helps nobody.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Every file of a folder, by name; folders in it and hidden files are left out.
fn folder(path: &Path, limit: usize) -> io::Result<Vec<Document>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| named(path, &error))? {
        let file = entry?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if file.is_file() && !name.starts_with('.') {
            files.push((name, file));
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: no files in this folder", path.display())));
    }
    files.into_iter().map(|(name, file)| Ok(Document::new(name, read(&file)?, limit))).collect()
}

/// The whole of `metadata.json`, each package of it, and the tree of dependencies.
fn own(limit: usize) -> io::Result<Vec<Document>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/metadata.json");
    let whole = read(&path)?;
    let value: serde_json::Value = serde_json::from_slice(&whole)?;
    let mut documents = Vec::new();
    for package in value["packages"].as_array().into_iter().flatten() {
        let name = format!("package {}", package["name"].as_str().unwrap_or("?"));
        documents.push(Document::new(name, serde_json::to_vec(package)?, limit));
    }
    documents.push(Document::new("resolve", serde_json::to_vec(&value["resolve"])?, limit));
    documents.push(Document::new("metadata.json", whole, limit));
    Ok(documents)
}
