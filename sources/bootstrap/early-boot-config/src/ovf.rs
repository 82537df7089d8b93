//! OVF environments (DSP0243, section 11): an XML document of properties for the guest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use user_data::{Fault, Position};

/// The property that holds user data.
const PROPERTY: &str = "user-data";

/// The bytes of the property `user-data` of an environment; none where it is missing or empty. Attributes are
/// compared without their namespace, which producers spell differently.
pub(crate) fn user_data(origin: &str, xml: &str) -> Result<Option<Vec<u8>>, Fault> {
    // The parser refuses document types by default, and with them entities that multiply.
    let document = roxmltree::Document::parse(xml).map_err(|e| {
        let place = e.pos();
        let position = Position { line: place.row as usize, column: place.col as usize };
        Fault::at(origin, position, format!("is not XML: {e}"))
    })?;
    let attribute = |node: &roxmltree::Node<'_, '_>, name: &str| {
        node.attributes().find(|a| a.name() == name).map(|a| a.value().to_owned())
    };
    let properties = document.descendants().filter(|node| node.tag_name().name() == "Property");
    let mut values = properties.filter(|node| attribute(node, "key").as_deref() == Some(PROPERTY));
    let Some(node) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::of(origin, format!("has two properties '{PROPERTY}'")));
    }
    let mut value = attribute(&node, "value").unwrap_or_default();
    value.retain(|c| !c.is_ascii_whitespace());
    if value.is_empty() {
        return Ok(None);
    }
    let decoded = STANDARD.decode(value).map_err(|e| {
        let position = Position::of(xml, node.range().start);
        Fault::at(origin, position, format!("the property '{PROPERTY}' is not base64: {e}"))
    })?;
    Ok(Some(decoded))
}
