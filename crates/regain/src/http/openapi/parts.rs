//! The words that the document is written in: schemas, parameters and bodies. Knows no route and no limit.

use serde_json::Value;
use utoipa::openapi::example::{Example, ExampleBuilder};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, SchemaType};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, HttpMethod, ObjectBuilder, Ref, RefOr, Required, Schema, Type};

use super::schemas;

/// One method of one path.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: HttpMethod,
    pub(super) operation: Operation,
}

/// What a reader sees of an operation first.
pub(super) struct Heading {
    pub(super) group: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
}

impl Heading {
    pub(super) fn operation(self) -> OperationBuilder {
        OperationBuilder::new()
            .tag(self.group)
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .description(Some(self.about))
    }
}

/// The two headers that a session may come in.
pub(super) fn needs_session(operation: OperationBuilder) -> OperationBuilder {
    let by = |scheme: &str| SecurityRequirement::new(scheme, [""; 0]);
    operation.security(by(schemas::SESSION_HEADER)).security(by(schemas::ACCESS_TOKEN_HEADER))
}

pub(super) fn text(about: impl Into<String>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about))
}

pub(super) fn text_or_null(about: impl Into<String>) -> ObjectBuilder {
    text(about).schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// What has no control character in it. Every dialect of patterns reads it alike.
pub(super) const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

pub(super) fn one_of_words<const N: usize>(about: &str, words: [&str; N]) -> ObjectBuilder {
    text(about).enum_values(Some(words))
}

pub(super) fn truth(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about))
}

pub(super) fn truth_or_null(about: &str) -> ObjectBuilder {
    truth(about).schema_type(SchemaType::from_iter([Type::Boolean, Type::Null]))
}

pub(super) fn whole_number(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(about))
}

pub(super) fn object(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).description(Some(about))
}

/// Adding properties that must be there.
pub(super) trait Needs {
    fn needs(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self;
}

impl Needs for ObjectBuilder {
    fn needs(self, name: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        self.property(name, schema).required(name)
    }
}

/// What is one of several shapes, or of several at once.
pub(super) fn any_of<const N: usize>(about: &str, schemas: [RefOr<Schema>; N]) -> Schema {
    let any = AnyOfBuilder::new().description(Some(about));
    schemas.into_iter().fold(any, AnyOfBuilder::item).build().into()
}

pub(super) fn named(schema: &str) -> RefOr<Schema> {
    Ref::from_schema_name(schema).into()
}

pub(super) fn example(summary: &str, value: Value) -> Example {
    ExampleBuilder::new().summary(summary).value(Some(value)).build()
}

pub(super) fn in_path(name: &str, schema: impl Into<RefOr<Schema>>, example: &str) -> Parameter {
    parameter(name, ParameterIn::Path, Required::True, schema).example(Some(example.into())).build()
}

pub(super) fn in_query(name: &str, schema: impl Into<RefOr<Schema>>, example: &str) -> Parameter {
    parameter(name, ParameterIn::Query, Required::False, schema).example(Some(example.into())).build()
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(schema))
}

/// Examples of a body: name, summary, value. They are told in the order of their names.
pub(super) type Examples<'a> = &'a [(&'static str, &'static str, Value)];

pub(super) fn body(
    media_type: &str,
    schema: impl Into<RefOr<Schema>>,
    examples: Examples<'_>,
) -> RequestBody {
    let examples = examples.iter().map(|(name, summary, value)| (*name, example(summary, value.clone())));
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build()
}

pub(super) fn json_body(schema: impl Into<RefOr<Schema>>, examples: Examples<'_>) -> RequestBody {
    body("application/json", schema, examples)
}
