//! Finding messages and people by their words.

use axum::extract::State;
use chassis::Fault;
use proto::conversations::SearchRequest;
use utoipa::IntoParams;

use super::App;
use super::extract::{FromQuery, Parameters, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::SearchPage;

/// What to look for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// Words, as in a web search: `"a phrase"`, `or`, `-without`. The last word may be the beginning of one.
    #[param(example = "leak -kitchen")]
    q: String,
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for SearchQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        let q = parameters.find_text("q");
        let missing = || Fault::invalid("q", "missing_parameter", "Say what to look for.");
        Ok(Self { q: q.ok_or_else(missing)?, limit: parameters.page_size()?, cursor: parameters.find_text("cursor") })
    }
}

/// Messages and people of this license by their words. A message can be found some seconds after it came.
#[utoipa::path(
    get, path = "/v1/search", tag = "conversations", params(SearchQuery),
    responses(
        (status = 200, description = "One page.", body = SearchPage),
        (status = 422, description = "`missing_parameter`, `invalid_cursor`, `unknown_parameter` and others: `field` says \
            which."),
    ),
)]
pub(crate) async fn search(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<SearchQuery>,
) -> Result<axum::Json<SearchPage>, Problem> {
    let request = SearchRequest {
        license_id: actor.license.to_string(),
        query: query.q,
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.search.clone().search(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status).renamed("query", "q"))?.into_inner();
    Ok(axum::Json(page.try_into()?))
}
