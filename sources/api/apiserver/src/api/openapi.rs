//! The document of the API, made of the handlers.

use super::{actions, commits, model, settings, status, tables, tx, updates};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Visco API",
        description = "Settings of a host, over a Unix socket. Errors are `ErrorBody`; with `Accept: text/plain` \
                       they are one line of text."
    ),
    components(schemas(wire::Event)),
    paths(
        model::root,
        model::os,
        settings::get,
        settings::patch,
        settings::unset,
        settings::patch_pairs,
        settings::validate,
        settings::origin,
        tx::get,
        tx::delete,
        tx::list,
        tx::diff,
        tx::commit,
        tx::apply,
        tx::commit_and_apply,
        tables::affected_services,
        tables::setting_generators,
        tables::templates,
        tables::services,
        tables::configuration_files,
        commits::list,
        commits::verify,
        commits::show,
        commits::revert,
        commits::restore,
        commits::confirm,
        actions::jobs,
        actions::job,
        actions::events,
        actions::reboot,
        updates::refresh,
        updates::prepare,
        updates::activate,
        updates::deactivate,
        updates::forget,
        updates::status,
        status::status,
        status::metrics,
        status::schema,
        status::explain,
        status::openapi
    )
)]
struct Document;

/// The document of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
