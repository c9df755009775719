//! The description of the API, made from the handlers, and the page that shows it without the internet.
//!
//! Every refusal is a problem document; that is added here once instead of at each handler.

use axum::Router;
use axum::middleware::map_response;
use http::{HeaderValue, header};
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa_swagger_ui::SwaggerUi;

use crate::error::ProblemDocument;

const INTRODUCTION: &str = "Text messages for property management: every license has one number of its own.\n\n\
    Call with `Authorization: Bearer <JWT>` (claims `iss`, `aud`, `exp`, `sub`, `name`, `license_id`, `role`). \
    Roles: `manager`; `admin`, who may also change settings; `service`, the company's backend, which names the \
    license in the path or in the header `Leaseline-License`.\n\nErrors are problem documents (RFC 9457) with a \
    stable `code`. Unknown JSON members and query parameters are refused.";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Leaseline", version = "1", description = INTRODUCTION),
    components(schemas(ProblemDocument)),
    tags(
        (name = "settings", description = "A license, its company and its number."),
        (name = "number", description = "Another number for the license: generate, then save."),
        (name = "people", description = "Whom managers text."),
        (name = "messages", description = "Texts that go out."),
        (name = "batches", description = "Sends to many: how far they are, and how to stop them."),
        (name = "scheduled", description = "Sends that wait for their time."),
        (name = "conversations", description = "What was written with whom."),
        (name = "unmatched", description = "Messages of senders whom nobody knows, and numbers that are blocked."),
        (name = "calls", description = "Who called the license's number. Calls are forwarded to the company phone."),
        (name = "feed", description = "What happens, as it happens."),
    ),
)]
struct Description;

/// Everything but the calls themselves.
pub(super) fn description() -> OpenApi {
    let mut api = Description::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    // Taken from the crate, which names none.
    api.info.license = None;
    api.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    api
}

/// `/v1/openapi.json` and `/docs`.
pub(super) fn pages<S: Clone + Send + Sync + 'static>(mut api: OpenApi) -> Router<S> {
    describe_refusals(&mut api);
    let pages: Router<S> = SwaggerUi::new("/docs").url("/v1/openapi.json", api).into();
    pages.layer(map_response(forbid_sniffing))
}

async fn forbid_sniffing(mut response: axum::response::Response) -> axum::response::Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Gives each refusal that a handler names its document, and adds those that every call may answer.
fn describe_refusals(api: &mut OpenApi) {
    let everywhere = [
        ("401", "`unauthenticated`: no token, or one that is not good."),
        ("403", "`forbidden`: the role does not allow it."),
        ("503", "`service_unavailable`: try again in a moment."),
    ];
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            for (status, description) in everywhere {
                let response = ResponseBuilder::new().description(description).build();
                responses.entry(status.to_owned()).or_insert(RefOr::T(response));
            }
            for (status, response) in responses.iter_mut() {
                if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
                    describe_document(response);
                }
            }
        }
    }
}

fn describe_document(response: &mut Response) {
    let schema = Ref::from_schema_name("Problem");
    response.content.insert("application/problem+json".to_owned(), RefOr::T(Content::new(Some(schema))));
}
