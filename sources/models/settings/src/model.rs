//! What the tree is made of.
//!
//! A [`Node`] describes one place of the tree as data: its documentation, what may stand below it, and for a leaf
//! the function that checks a value. Nodes are built once from the Rust types through [`Model`].

use modeled_types::{Kind, Refusal, Scalar, describe};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// A type that has a place in the tree of settings.
pub trait Model {
    /// Describes the type.
    fn node() -> Node;
}

/// One place of the tree.
#[derive(Debug)]
pub enum Node {
    /// A fixed set of named members.
    Group(Group),
    /// Members whose names the user chooses.
    Map(Map),
    /// A value.
    Leaf(Leaf),
}

/// A fixed set of named members.
#[derive(Debug)]
pub struct Group {
    /// The members, in the order of their declaration.
    pub fields: Vec<Field>,
}

/// A member of a group.
#[derive(Debug)]
pub struct Field {
    /// Name in kebab-case, as written in keys.
    pub name: String,
    /// Other names accepted on input; output always uses `name`.
    pub aliases: &'static [&'static str],
    /// Documentation, in Markdown.
    pub doc: String,
    /// What stands there.
    pub node: Node,
}

/// Members whose names the user chooses.
#[derive(Debug)]
pub struct Map {
    /// Name of the type of the names.
    pub key_type: &'static str,
    /// What a name must be.
    pub key_rule: &'static str,
    /// JSON Schema of a name.
    pub key_schema: fn() -> Value,
    /// Checks a name.
    pub check_key: fn(&str) -> Result<(), String>,
    /// What stands under each name.
    pub value: Box<Node>,
}

/// A value: a scalar or a whole list.
#[derive(Debug)]
pub struct Leaf {
    /// Name of its type.
    pub type_name: String,
    /// What it must be, as a phrase that follows "it".
    pub rule: String,
    /// Its JSON form.
    pub kind: Kind,
    /// Whether a value may be a secret, which must not be shown or logged.
    pub secret: bool,
    /// Its JSON Schema.
    pub schema: fn() -> Value,
    /// Checks a value; what comes back is what is stored.
    pub check: fn(Value) -> Result<Value, String>,
}

impl Leaf {
    /// Describes the leaves of a scalar type.
    pub fn of<T: Scalar>() -> Self {
        Self {
            type_name: T::NAME.to_owned(),
            rule: T::RULE.to_owned(),
            kind: T::KIND,
            secret: T::SECRET,
            schema: T::json_schema,
            check: through::<T>,
        }
    }
}

/// Checks a value by making a `T` of it and giving back how `T` prints.
#[expect(clippy::needless_pass_by_value, reason = "the signature is that of every leaf's check")]
fn through<T: Scalar>(value: Value) -> Result<Value, String> {
    let typed: T = modeled_types::check(&value).map_err(|e| e.to_string())?;
    serde_json::to_value(typed).map_err(|e| e.to_string())
}

impl<T: Scalar> Model for Vec<T> {
    fn node() -> Node {
        Node::Leaf(Leaf {
            type_name: format!("list of {}", T::NAME),
            rule: format!("must be a list; each element {}", T::RULE),
            kind: Kind::List,
            secret: T::SECRET,
            schema: || serde_json::json!({"type": "array", "items": T::json_schema()}),
            check: |value| {
                let Value::Array(elements) = value else {
                    return Err(format!("must be a list, not {}", describe(&value)));
                };
                let checked = elements.into_iter().enumerate().map(|(n, element)| {
                    through::<T>(element)
                        .map_err(|why| format!("has a wrong element: element {} {why}", n + 1))
                });
                checked.collect()
            },
        })
    }
}

/// Reads a list of tables, each of which is a `T`, a group of leaves.
pub(crate) fn records<T: Model + DeserializeOwned>(
    value: Value,
    rule: &'static str,
    secret: bool,
) -> Result<Vec<T>, Refusal> {
    let Value::Array(elements) = value else { return Err(Refusal::new(rule)) };
    let Node::Group(group) = T::node() else { unreachable!("the elements of a list of tables are groups") };
    elements.into_iter().enumerate().map(|(n, element)| record(&group, n + 1, element, secret)).collect()
}

fn record<T: DeserializeOwned>(
    group: &Group,
    number: usize,
    element: Value,
    secret: bool,
) -> Result<T, Refusal> {
    let wrong = |why: String| Refusal::new(format!("has a wrong element: element {number} {why}"));
    let Value::Object(members) = element else {
        return Err(wrong(format!("must be a table, not {}", describe(&element))));
    };
    let mut checked = serde_json::Map::new();
    for (name, value) in members {
        let Some(field) = group.fields.iter().find(|f| f.name == name) else {
            let known: Vec<&str> = group.fields.iter().map(|f| f.name.as_str()).collect();
            return Err(wrong(format!("has no member '{name}'; its members are {}", known.join(", "))));
        };
        let Node::Leaf(leaf) = &field.node else { unreachable!("members of tables in lists are leaves") };
        if !value.is_null() {
            let value = (leaf.check)(value).map_err(|why| {
                // The reason may repeat the value, the rule of the type never does.
                wrong(format!("has a wrong '{name}', which {}", if secret { &leaf.rule } else { &why }))
            })?;
            checked.insert(name, value);
        }
    }
    serde_json::from_value(Value::Object(checked)).map_err(|e| wrong(e.to_string()))
}

impl<K: Scalar, V: Model> Model for BTreeMap<K, V> {
    fn node() -> Node {
        Node::Map(Map {
            key_type: K::NAME,
            key_rule: K::RULE,
            key_schema: K::json_schema,
            check_key: |name| through::<K>(Value::from(name)).map(drop),
            value: Box::new(V::node()),
        })
    }
}

/// Gives scalar types their place in the tree.
macro_rules! leaves {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::model::Model for $type {
            fn node() -> $crate::model::Node {
                $crate::model::Node::Leaf($crate::model::Leaf::of::<$type>())
            }
        }
    )*};
}

leaves![bool, u8, u16, u32, i32, i64];
leaves![
    modeled_types::AnyText,
    modeled_types::BootConfigValue,
    modeled_types::AutomaticUpdates,
    modeled_types::BandwidthLimit,
    modeled_types::BootstrapMode,
    modeled_types::CpuManagerPolicy,
    modeled_types::DailyWindow,
    modeled_types::DnsDomain,
    modeled_types::EcsAgentImagePullBehavior,
    modeled_types::EcsAgentLogLevel,
    modeled_types::EcsAttributeValue,
    modeled_types::EcsDurationValue,
    modeled_types::EtcHostsEntries,
    modeled_types::FriendlyVersion,
    modeled_types::IntegerPercent,
    modeled_types::IpAddress,
    modeled_types::KernelCpuSetValue,
    modeled_types::KubernetesAuthenticationMode,
    modeled_types::KubernetesBootstrapToken,
    modeled_types::KubernetesCloudProvider,
    modeled_types::KubernetesClusterDnsIp,
    modeled_types::KubernetesClusterName,
    modeled_types::KubernetesDurationValue,
    modeled_types::KubernetesHostnameOverrideSource,
    modeled_types::KubernetesLabelValue,
    modeled_types::KubernetesMemoryManagerPolicy,
    modeled_types::KubernetesQuantityValue,
    modeled_types::KubernetesTaints,
    modeled_types::KubernetesThresholdValue,
    modeled_types::Lockdown,
    modeled_types::NonNegativeInteger,
    modeled_types::NvidiaDeviceIdStrategy,
    modeled_types::NvidiaDeviceListStrategy,
    modeled_types::NvidiaDeviceSharingStrategy,
    modeled_types::OciLimit,
    modeled_types::PemCertificateString,
    modeled_types::SingleLineString,
    modeled_types::HealthDeadline,
    modeled_types::HttpUrl,
    modeled_types::TcpEndpoint,
    modeled_types::TimeSlicingReplicas,
    modeled_types::UnitName,
    modeled_types::TopologyManagerPolicy,
    modeled_types::TopologyManagerScope,
    modeled_types::UpdateCheckInterval,
    modeled_types::Url,
    modeled_types::ValidBase64,
    modeled_types::ValidLinuxHostname,
    crate::groups::Credentials,
    crate::groups::Mirrors,
];

/// Declares a group of settings: a struct whose members are all optional, named in kebab-case, each documented.
///
/// `#[alias("name")]` before a member accepts another name for it on input; `#[name("Name")]` gives it a name that
/// is not its field's in kebab-case.
macro_rules! group {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[alias($($alias:literal),+)])?
                $(#[name($name_of:literal)])?
                $field:ident: $type:ty,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                $(#[serde(rename = $name_of)])?
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl $crate::model::Model for $name {
            fn node() -> $crate::model::Node {
                $crate::model::Node::Group($crate::model::Group {
                    fields: vec![$(
                        $crate::model::Field {
                            name: $crate::model::member_name(stringify!($field), &[$($name_of)?]),
                            aliases: &[$($($alias),+)?],
                            doc: $crate::model::paragraph(&[$($doc),*]),
                            node: <$type as $crate::model::Model>::node(),
                        },
                    )*],
                })
            }
        }
    };
}
pub(crate) use group;

/// The name of a member: the one given, or its field's in kebab-case.
pub(crate) fn member_name(field: &str, given: &[&str]) -> String {
    given.first().map_or_else(|| field.replace('_', "-"), |&name| name.to_owned())
}

/// Joins the lines of a doc comment, each of which begins with one blank.
pub(crate) fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
