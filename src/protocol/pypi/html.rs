//! Pages in HTML.
//!
//! Read with a tokenizer that follows the HTML standard. Only anchors, the base and a few meta
//! elements mean something; where they stand in the document does not.
//!
//! PEP 503, 592, 629 (version of the page), 658, 708, 714, 740, 792.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::page::{Link, Page};
use crate::protocol::{Document, ProtocolError};

pub(super) fn read(document: &Document<'_>) -> Result<Page, ProtocolError> {
    let malformed = |reason: &str| ProtocolError::Malformed(reason.to_owned());
    let text = std::str::from_utf8(document.body).map_err(|_error| malformed("it is not UTF-8"))?;
    // Text inside scripts and comments is no markup.
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut page = Page::default();
    let (mut base, mut anchors, mut elements) = (None, Vec::new(), false);
    for token in Tokenizer::new_with_emitter(text, emitter).flatten() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        elements = true;
        match tag.name.as_slice() {
            b"a" if attribute(&tag, "href").is_some() => anchors.push(tag),
            b"base" if base.is_none() => base = attribute(&tag, "href"),
            b"meta" => meta(&mut page, &tag)?,
            _ => {}
        }
    }
    if !elements {
        return Err(malformed("it is not HTML"));
    }
    let url = match base {
        None => document.url.clone(),
        Some(base) => document
            .url
            .join(base.trim())
            .map_err(|_error| malformed("its `base` is no address"))?,
    };
    page.links = anchors
        .iter()
        .filter_map(|tag| link(tag, Link::new(&url, &attribute(tag, "href")?)))
        .collect();
    Ok(page)
}

fn link(tag: &StartTag<()>, mut link: Link) -> Option<Link> {
    link.requires_python = attribute(tag, "data-requires-python").filter(|text| !text.is_empty());
    link.yanked = attribute(tag, "data-yanked");
    link.metadata = attribute(tag, "data-core-metadata").and_then(|text| metadata(&text));
    link.older_metadata = attribute(tag, "data-dist-info-metadata").and_then(|t| metadata(&t));
    link.provenance = attribute(tag, "data-provenance");
    Some(link)
}

/// `true`, or `sha256=…`.
fn metadata(text: &str) -> Option<Vec<(String, String)>> {
    match text.split_once('=') {
        Some((name, value)) => Some(vec![(name.to_owned(), value.to_owned())]),
        None if text == "false" => None,
        None => Some(Vec::new()),
    }
}

fn meta(page: &mut Page, tag: &StartTag<()>) -> Result<(), ProtocolError> {
    let (Some(name), Some(content)) = (attribute(tag, "name"), attribute(tag, "content")) else {
        return Ok(());
    };
    match name.as_str() {
        "pypi:repository-version" => {
            if content.split('.').next() != Some("1") {
                let shown: String = content.escape_debug().take(20).collect();
                let reason = format!("it is of an unknown version: {shown}");
                return Err(ProtocolError::Malformed(reason));
            }
            page.api = Some(content);
        }
        "pypi:project-status" => {
            let reason = page.status.take().and_then(|(_, reason)| reason);
            page.status = Some((content, reason));
        }
        "pypi:project-status-reason" => match &mut page.status {
            Some((_, reason)) => *reason = Some(content),
            None => page.status = Some((String::new(), Some(content))),
        },
        "pypi:tracks" => page.tracks.push(content),
        "pypi:alternate-locations" => page.alternates.push(content),
        _ => {}
    }
    Ok(())
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    std::str::from_utf8(value.as_slice())
        .ok()
        .map(str::to_owned)
}
