"""Every route as every role, for a thing at its own place and at a foreign one; and that no answer tells of a foreign one.

`EXPECTED` says of each route which right it asks for and what it is about: `list` is restricted to what is seen, `plant`
asks for an account without places, `none` has no place, the others name a kind of thing. A route that is not there fails.
"""

import asyncio
import re
from collections.abc import Iterator

import pytest

from andon.access.roles import RIGHTS, Right, Role
from api.originals import GONE
from api.places import OBJECTS
from tests.rights import routes_of
from tests.two_lines import BACKTEST, HERE, PLACES, THERE, Answer, TwoLines

EXPECTED = """
GET    /                                                       read     list
GET    /account                                                self     none
POST   /account/keys                                           self     none
POST   /account/keys/{key}/revoke                              self     none
GET    /account/password                                       self     none
POST   /account/password                                       self     none
POST   /account/sessions/{session}/end                         self     none
GET    /alarms                                                 read     list
GET    /alarms/performance                                     read     list
GET    /alarms/performance/occurrences                         read     list
POST   /alarms/{alarm_id}/acknowledge                          lead     alarm
POST   /alarms/{alarm_id}/remove_from_service                  tune     alarm
POST   /alarms/{alarm_id}/return_to_service                    tune     alarm
POST   /alarms/{alarm_id}/shelve                               lead     alarm
POST   /alarms/{alarm_id}/unacknowledge                        lead     alarm
POST   /alarms/{alarm_id}/unshelve                             lead     alarm
GET    /analysis                                               read     list
GET    /analysis/tickets                                       read     list
GET    /api                                                    self     none
GET    /api/v1/acknowledgements                                read     list
GET    /api/v1/alarms                                          read     list
GET    /api/v1/alarms/bad-actors                               read     list
GET    /api/v1/alarms/performance                              read     list
GET    /api/v1/alarms/performance/occurrences                  read     list
GET    /api/v1/alarms/{alarm_id}                               read     alarm
POST   /api/v1/alarms/{alarm_id}/acknowledge                   lead     alarm
POST   /api/v1/alarms/{alarm_id}/out-of-service                tune     alarm
POST   /api/v1/alarms/{alarm_id}/return-to-service             tune     alarm
POST   /api/v1/alarms/{alarm_id}/unacknowledge                 lead     alarm
GET    /api/v1/analysis                                        read     list
GET    /api/v1/analysis/dimensions                             read     none
GET    /api/v1/analysis/tickets                                read     list
GET    /api/v1/approvals                                       read     list
POST   /api/v1/approvals/{approval_id}/grant                   plan     approval
POST   /api/v1/approvals/{approval_id}/refuse                  plan     approval
GET    /api/v1/articles                                        read     list
POST   /api/v1/articles                                        work     none
GET    /api/v1/articles/pool                                   read     list
GET    /api/v1/articles/{article_id}                           read     article
POST   /api/v1/articles/{article_id}/discard                   analyse  article
POST   /api/v1/articles/{article_id}/edit                      analyse  article
POST   /api/v1/articles/{article_id}/merge                     analyse  article
POST   /api/v1/articles/{article_id}/publish                   analyse  article
POST   /api/v1/articles/{article_id}/withdraw                  analyse  article
GET    /api/v1/assets                                          read     list
GET    /api/v1/assets/{asset_id}                               read     asset
GET    /api/v1/assets/{asset_id}/costs                         read     asset
GET    /api/v1/assets/{asset_id}/declarations                  read     asset
POST   /api/v1/assets/{asset_id}/declarations                  lead     asset
POST   /api/v1/assets/{asset_id}/meters/{meter}/readings       work     asset
GET    /api/v1/assets/{asset_id}/series                        read     asset
GET    /api/v1/audits                                          read     plant
POST   /api/v1/audits/{audit_id}/finish                        analyse  plant
GET    /api/v1/batches                                         read     plant
GET    /api/v1/batches/{batch_id}                              read     plant
POST   /api/v1/batches/{batch_id}/{deed}                       analyse  plant
GET    /api/v1/board                                           read     none
GET    /api/v1/channels                                        read     none
GET    /api/v1/closing                                         read     none
GET    /api/v1/cost-requests                                   read     list
GET    /api/v1/cost-requests/mine                              read     none
POST   /api/v1/cost-requests/{cost_request_id}/grant           lead     cost_request
POST   /api/v1/cost-requests/{cost_request_id}/refuse          lead     cost_request
GET    /api/v1/dead-letters                                    read     plant
POST   /api/v1/dead-letters/redrive                            redrive  plant
GET    /api/v1/dead-letters/{letter}                           redrive  plant
POST   /api/v1/dead-letters/{letter}/redrive                   redrive  plant
POST   /api/v1/dedup/dry-run                                   plan     plant
GET    /api/v1/dedup/late                                      read     list
GET    /api/v1/dedup/rules                                     read     none
GET    /api/v1/delegations                                     read     none
POST   /api/v1/delegations                                     lead     none
POST   /api/v1/delegations/{delegation}/revoke                 lead     none
GET    /api/v1/detectors                                       read     list
POST   /api/v1/detectors/backtests                             tune     plant
GET    /api/v1/detectors/backtests/{name}                      tune     plant
POST   /api/v1/detectors/promote                               tune     plant
POST   /api/v1/detectors/rollback                              tune     plant
GET    /api/v1/detectors/versions                              read     none
GET    /api/v1/drift                                           read     list
GET    /api/v1/failures                                        read     none
GET    /api/v1/failures/origins                                read     none
GET    /api/v1/failures/tickets                                read     none
GET    /api/v1/findings/{finding}                              read     finding
GET    /api/v1/findings/{finding}/block                        read     finding
GET    /api/v1/findings/{finding}/envelope                     read     finding
GET    /api/v1/findings/{finding}/evidence                     read     finding
GET    /api/v1/findings/{finding}/message                      redrive  finding
GET    /api/v1/findings/{finding}/spectrum                     read     finding
GET    /api/v1/freshness                                       read     list
GET    /api/v1/gaps                                            read     list
POST   /api/v1/investigations                                  analyse  plant
GET    /api/v1/kpi-actions                                     read     plant
POST   /api/v1/kpi-actions/{action}/done                       analyse  plant
GET    /api/v1/kpi-readings                                    analyse  none
GET    /api/v1/kpis                                            read     none
GET    /api/v1/kpis/{code}                                     read     none
GET    /api/v1/kpis/{code}/tickets                             read     list
GET    /api/v1/labels                                          read     list
POST   /api/v1/labels                                          tune     none
DELETE /api/v1/labels/{label_id}                               tune     label
GET    /api/v1/messages                                        self     none
GET    /api/v1/meters                                          read     list
PUT    /api/v1/meters/{meter}                                  plan     plant
GET    /api/v1/obligations                                     read     list
GET    /api/v1/openapi.json                                    self     none
GET    /api/v1/operation-templates                             read     none
PUT    /api/v1/operation-templates/{template}                  plan     plant
GET    /api/v1/outbox                                          redrive  plant
POST   /api/v1/outbox/redrive                                  redrive  plant
GET    /api/v1/outbox/{message}                                redrive  plant
GET    /api/v1/partners                                        read     plant
GET    /api/v1/partners/{name}/events                          read     plant
POST   /api/v1/partners/{name}/events                          open     none
POST   /api/v1/partners/{name}/send-again                      redrive  plant
GET    /api/v1/partners/{name}/unconfirmed                     read     plant
GET    /api/v1/papers                                          read     none
POST   /api/v1/papers                                          read     none
GET    /api/v1/papers/{paper_id}                               read     paper
GET    /api/v1/papers/{paper_id}/pdf                           read     paper
GET    /api/v1/parts                                           read     none
POST   /api/v1/parts                                           stock    none
GET    /api/v1/parts/{part}                                    read     none
GET    /api/v1/people                                          work     none
GET    /api/v1/people/{person}/offers                          work     list
PUT    /api/v1/people/{person}/presence                        work     none
POST   /api/v1/people/{person}/reassign                        plan     plant
GET    /api/v1/plans                                           read     list
GET    /api/v1/plans/calendar                                  read     list
GET    /api/v1/plans/{plan}                                    read     list
PUT    /api/v1/plans/{plan}                                    plan     plant
GET    /api/v1/plans/{plan}/runs                               read     list
GET    /api/v1/problems                                        read     list
GET    /api/v1/problems/{problem_id}                           read     problem
POST   /api/v1/problems/{problem_id}/add_action                analyse  problem
POST   /api/v1/problems/{problem_id}/add_cause                 analyse  problem
GET    /api/v1/problems/{problem_id}/analysis                  read     problem
POST   /api/v1/problems/{problem_id}/audits                    analyse  plant
POST   /api/v1/problems/{problem_id}/batches                   analyse  plant
POST   /api/v1/problems/{problem_id}/close                     analyse  problem
POST   /api/v1/problems/{problem_id}/decide                    analyse  problem
POST   /api/v1/problems/{problem_id}/describe                  analyse  problem
POST   /api/v1/problems/{problem_id}/drop_action               analyse  problem
POST   /api/v1/problems/{problem_id}/eight_d                   analyse  problem
POST   /api/v1/problems/{problem_id}/fail_check                analyse  problem
POST   /api/v1/problems/{problem_id}/finish_action             report   problem
POST   /api/v1/problems/{problem_id}/judge_cause               analyse  problem
POST   /api/v1/problems/{problem_id}/mandatory-fields          plan     plant
GET    /api/v1/problems/{problem_id}/measures                  read     problem
POST   /api/v1/problems/{problem_id}/move_action               analyse  problem
POST   /api/v1/problems/{problem_id}/pass_check                analyse  problem
POST   /api/v1/problems/{problem_id}/plan_check                analyse  problem
POST   /api/v1/problems/{problem_id}/reopen                    analyse  problem
POST   /api/v1/problems/{problem_id}/review                    analyse  problem
POST   /api/v1/problems/{problem_id}/revise                    analyse  problem
POST   /api/v1/problems/{problem_id}/sisters                   analyse  problem
POST   /api/v1/problems/{problem_id}/start                     analyse  problem
POST   /api/v1/problems/{problem_id}/withdraw                  analyse  problem
GET    /api/v1/reports                                         read     list
POST   /api/v1/reports                                         report   none
GET    /api/v1/reports/types                                   read     none
GET    /api/v1/reports/{report_id}                             read     report
POST   /api/v1/reports/{report_id}/attachments                 report   report
GET    /api/v1/requisitions                                    read     list
POST   /api/v1/requisitions/{requisition_id}/issue             stock    requisition
POST   /api/v1/requisitions/{requisition_id}/return            stock    requisition
POST   /api/v1/requisitions/{requisition_id}/withdraw          work     requisition
POST   /api/v1/routing/test                                    plan     none
GET    /api/v1/scene-tags/top                                  read     none
GET    /api/v1/sisters                                         read     list
POST   /api/v1/sisters/{sister_id}/drop                        plan     sister
POST   /api/v1/sisters/{sister_id}/finish                      work     sister
GET    /api/v1/sources                                         read     none
POST   /api/v1/stock/count                                     stock    none
GET    /api/v1/stock/movements                                 read     none
POST   /api/v1/stock/receive                                   stock    none
POST   /api/v1/stock/sheets                                    stock    none
GET    /api/v1/stock/sheets/{what}                             read     none
GET    /api/v1/suppliers                                       read     none
POST   /api/v1/suppliers                                       stock    none
GET    /api/v1/suppressions                                    read     list
POST   /api/v1/suppressions                                    lead     none
DELETE /api/v1/suppressions/{suppression_id}                   lead     suppression
GET    /api/v1/suppressions/{suppression_id}                   read     suppression
GET    /api/v1/ticket-types                                    read     none
POST   /api/v1/ticket-types/{type_code}/modules                plan     plant
GET    /api/v1/tickets                                         read     list
GET    /api/v1/tickets/{ticket_id}                             read     ticket
POST   /api/v1/tickets/{ticket_id}/accept                      work     ticket
POST   /api/v1/tickets/{ticket_id}/acknowledge                 work     ticket
GET    /api/v1/tickets/{ticket_id}/acknowledgements            read     ticket
GET    /api/v1/tickets/{ticket_id}/alike                       read     ticket
POST   /api/v1/tickets/{ticket_id}/approvals                   work     ticket
POST   /api/v1/tickets/{ticket_id}/archive                     lead     ticket
POST   /api/v1/tickets/{ticket_id}/arrive                      work     ticket
POST   /api/v1/tickets/{ticket_id}/assign                      plan     ticket
GET    /api/v1/tickets/{ticket_id}/attachments                 read     ticket
POST   /api/v1/tickets/{ticket_id}/cancel                      plan     ticket
POST   /api/v1/tickets/{ticket_id}/citations                   work     ticket
POST   /api/v1/tickets/{ticket_id}/claim                       work     ticket
GET    /api/v1/tickets/{ticket_id}/clocks                      read     ticket
POST   /api/v1/tickets/{ticket_id}/close_unsigned              plan     ticket
POST   /api/v1/tickets/{ticket_id}/collaborators               work     ticket
DELETE /api/v1/tickets/{ticket_id}/collaborators/{person}      work     ticket
POST   /api/v1/tickets/{ticket_id}/comments                    report   ticket
POST   /api/v1/tickets/{ticket_id}/cost-requests               work     ticket
GET    /api/v1/tickets/{ticket_id}/costs                       read     ticket
POST   /api/v1/tickets/{ticket_id}/costs                       work     ticket
POST   /api/v1/tickets/{ticket_id}/costs/{line}/take-back      work     ticket
POST   /api/v1/tickets/{ticket_id}/decline                     work     ticket
POST   /api/v1/tickets/{ticket_id}/depart                      work     ticket
POST   /api/v1/tickets/{ticket_id}/downtime                    work     ticket
POST   /api/v1/tickets/{ticket_id}/duplicate                   plan     ticket
GET    /api/v1/tickets/{ticket_id}/enquiries                   read     ticket
POST   /api/v1/tickets/{ticket_id}/enquiries                   report   ticket
POST   /api/v1/tickets/{ticket_id}/estimate                    work     ticket
POST   /api/v1/tickets/{ticket_id}/false_alarm                 plan     ticket
PATCH  /api/v1/tickets/{ticket_id}/fields                      work     ticket
POST   /api/v1/tickets/{ticket_id}/hold                        work     ticket
POST   /api/v1/tickets/{ticket_id}/keep_baseline               tune     ticket
POST   /api/v1/tickets/{ticket_id}/labour                      work     ticket
GET    /api/v1/tickets/{ticket_id}/links                       read     ticket
POST   /api/v1/tickets/{ticket_id}/links                       plan     ticket
DELETE /api/v1/tickets/{ticket_id}/links/{kind}/{other}        plan     ticket
POST   /api/v1/tickets/{ticket_id}/obligations/{kind}          work     ticket
GET    /api/v1/tickets/{ticket_id}/occurrences                 read     ticket
POST   /api/v1/tickets/{ticket_id}/offers/accept               work     ticket
POST   /api/v1/tickets/{ticket_id}/offers/decline              work     ticket
GET    /api/v1/tickets/{ticket_id}/operations                  read     ticket
POST   /api/v1/tickets/{ticket_id}/operations                  work     ticket
POST   /api/v1/tickets/{ticket_id}/operations/{seq}/correct    work     ticket
POST   /api/v1/tickets/{ticket_id}/operations/{seq}/done       work     ticket
POST   /api/v1/tickets/{ticket_id}/operations/{seq}/leave-out  work     ticket
POST   /api/v1/tickets/{ticket_id}/operations/{seq}/take-back  work     ticket
POST   /api/v1/tickets/{ticket_id}/photos                      work     ticket
POST   /api/v1/tickets/{ticket_id}/rating                      report   ticket
POST   /api/v1/tickets/{ticket_id}/recode                      analyse  ticket
POST   /api/v1/tickets/{ticket_id}/reject                      report   ticket
POST   /api/v1/tickets/{ticket_id}/relearn                     tune     ticket
POST   /api/v1/tickets/{ticket_id}/reopen                      lead     ticket
POST   /api/v1/tickets/{ticket_id}/requisitions                work     ticket
POST   /api/v1/tickets/{ticket_id}/resolve                     work     ticket
POST   /api/v1/tickets/{ticket_id}/resume                      work     ticket
GET    /api/v1/tickets/{ticket_id}/routing                     read     ticket
GET    /api/v1/tickets/{ticket_id}/safety                      read     ticket
POST   /api/v1/tickets/{ticket_id}/safety/{checklist}          work     ticket
POST   /api/v1/tickets/{ticket_id}/sign                        report   ticket
POST   /api/v1/tickets/{ticket_id}/sign-code                   report   ticket
POST   /api/v1/tickets/{ticket_id}/signature                   report   ticket
GET    /api/v1/tickets/{ticket_id}/sisters                     read     ticket
POST   /api/v1/tickets/{ticket_id}/sisters                     plan     ticket
POST   /api/v1/tickets/{ticket_id}/split                       plan     ticket
POST   /api/v1/tickets/{ticket_id}/substate                    work     ticket
POST   /api/v1/tickets/{ticket_id}/to_backup                   work     ticket
POST   /api/v1/tickets/{ticket_id}/transfer                    work     ticket
POST   /api/v1/tickets/{ticket_id}/unmerge                     plan     ticket
GET    /api/v1/timers/failed                                   redrive  plant
POST   /api/v1/timers/failed/again                             redrive  plant
GET    /api/v1/topics                                          read     none
GET    /api/v1/topics/{name}                                   read     none
GET    /approvals                                              read     list
POST   /approvals/{approval_id}/grant                          plan     approval
POST   /approvals/{approval_id}/refuse                         plan     approval
GET    /assets                                                 read     list
GET    /assets/{asset_id}                                      read     asset
POST   /assets/{asset_id}/declarations                         lead     asset
POST   /assets/{asset_id}/labels                               tune     asset
POST   /audits/{audit_id}/finish                               analyse  plant
POST   /batches/{batch_id}/{deed}                              analyse  plant
GET    /board                                                  read     list
GET    /board/{ticket_id}                                      read     ticket
GET    /calendar                                               read     list
POST   /cost-requests/{cost_request_id}/decide                 lead     cost_request
POST   /delegations                                            lead     none
POST   /delegations/{delegation}/revoke                        lead     none
GET    /detectors                                              read     list
POST   /detectors/backtests                                    tune     plant
GET    /detectors/backtests/{name}                             tune     plant
POST   /detectors/backtests/{name}/promote                     tune     plant
POST   /detectors/rollback                                     tune     plant
GET    /drift                                                  read     list
GET    /failures                                               read     none
GET    /failures/origins                                       read     none
GET    /findings/{finding_id}                                  read     finding
GET    /findings/{finding_id}/message                          redrive  finding
GET    /healthz                                                open     none
POST   /inbox/{ticket_id}/snooze                               plan     ticket
POST   /inbox/{ticket_id}/undo                                 plan     ticket
POST   /inbox/{ticket_id}/{step}                               plan     ticket
POST   /investigations                                         analyse  plant
GET    /knowledge                                              read     list
POST   /knowledge                                              work     none
GET    /knowledge/{article_id}                                 read     article
POST   /knowledge/{article_id}/discard                         analyse  article
POST   /knowledge/{article_id}/edit                            analyse  article
POST   /knowledge/{article_id}/merge                           analyse  article
POST   /knowledge/{article_id}/publish                         analyse  article
POST   /knowledge/{article_id}/withdraw                        analyse  article
GET    /kpi                                                    read     none
POST   /kpi/actions/{action}/done                              analyse  plant
GET    /kpi/{code}                                             read     list
WS     /live                                                   read     none
GET    /measures                                               read     list
GET    /metrics                                                read     plant
GET    /partners                                               read     plant
POST   /partners/{name}/send-again                             redrive  plant
GET    /papers                                                 read     none
POST   /papers                                                 read     none
GET    /papers/{paper_id}                                      read     paper
GET    /papers/{paper_id}/pdf                                  read     paper
GET    /parts                                                  read     list
POST   /parts/count                                            stock    none
POST   /parts/receive                                          stock    none
POST   /parts/save                                             stock    none
POST   /parts/sheet                                            stock    none
POST   /parts/supplier                                         stock    none
GET    /parts/{part}                                           read     none
GET    /people                                                 administer plant
POST   /people                                                 administer plant
GET    /people/{account}                                       administer plant
POST   /people/{account}/door/{door}                           administer plant
POST   /people/{account}/keys                                  administer plant
POST   /people/{account}/keys/{key}/revoke                     administer plant
POST   /people/{account}/places                                administer plant
POST   /people/{account}/reset                                 administer plant
POST   /people/{account}/roles                                 administer plant
GET    /pipeline                                               read     list
POST   /pipeline/letters/redrive                               redrive  plant
GET    /pipeline/letters/{letter}                              redrive  plant
POST   /pipeline/letters/{letter}/redrive                      redrive  plant
POST   /pipeline/outbox/redrive                                redrive  plant
POST   /pipeline/timers/again                                  redrive  plant
GET    /plans                                                  read     list
GET    /plans/calendar                                         read     list
GET    /plans/meters                                           read     list
POST   /plans/meters                                           work     none
GET    /plans/{plan}                                           read     list
GET    /plans/{plan}/edit                                      plan     plant
POST   /plans/{plan}/edit                                      plan     plant
POST   /preferences                                            self     none
GET    /problems                                               read     list
GET    /problems/{problem_id}                                  read     problem
GET    /problems/{problem_id}/8d                               read     problem
POST   /problems/{problem_id}/add_action                       analyse  problem
POST   /problems/{problem_id}/add_cause                        analyse  problem
POST   /problems/{problem_id}/audits                           analyse  plant
POST   /problems/{problem_id}/batches                          analyse  plant
POST   /problems/{problem_id}/close                            analyse  problem
POST   /problems/{problem_id}/decide                           analyse  problem
POST   /problems/{problem_id}/describe                         analyse  problem
POST   /problems/{problem_id}/drop_action                      analyse  problem
POST   /problems/{problem_id}/eight_d                          analyse  problem
POST   /problems/{problem_id}/fail_check                       analyse  problem
POST   /problems/{problem_id}/finish_action                    report   problem
POST   /problems/{problem_id}/judge_cause                      analyse  problem
POST   /problems/{problem_id}/mandatory-fields                 plan     plant
POST   /problems/{problem_id}/move_action                      analyse  problem
POST   /problems/{problem_id}/pass_check                       analyse  problem
POST   /problems/{problem_id}/plan_check                       analyse  problem
POST   /problems/{problem_id}/reopen                           analyse  problem
POST   /problems/{problem_id}/review                           analyse  problem
POST   /problems/{problem_id}/revise                           analyse  problem
POST   /problems/{problem_id}/sisters                          analyse  problem
POST   /problems/{problem_id}/start                            analyse  problem
POST   /problems/{problem_id}/withdraw                         analyse  problem
GET    /readyz                                                 open     none
GET    /report                                                 report   list
POST   /report                                                 report   none
GET    /report/codes                                           read     list
GET    /reports                                                read     list
POST   /report/type                                            report   none
POST   /requisitions/{requisition_id}/issue                    stock    requisition
POST   /requisitions/{requisition_id}/return                   stock    requisition
POST   /requisitions/{requisition_id}/withdraw                 work     requisition
GET    /routing                                                plan     list
GET    /sign-in                                                open     none
POST   /sign-in                                                open     none
POST   /sign-out                                               self     none
POST   /sisters/{sister_id}/drop                               plan     sister
POST   /sisters/{sister_id}/finish                             work     sister
GET    /ticket-types                                           plan     plant
POST   /ticket-types/{type_code}                               plan     plant
GET    /tickets                                                read     list
GET    /tickets/{ticket_id}                                    read     ticket
POST   /tickets/{ticket_id}/accept                             work     ticket
POST   /tickets/{ticket_id}/acknowledge                        work     ticket
POST   /tickets/{ticket_id}/archive                            lead     ticket
POST   /tickets/{ticket_id}/arrive                             work     ticket
POST   /tickets/{ticket_id}/ask/{step}                         work     ticket
POST   /tickets/{ticket_id}/assign                             plan     ticket
POST   /tickets/{ticket_id}/attachments                        report   ticket
GET    /tickets/{ticket_id}/attachments/{sha256}               read     ticket
POST   /tickets/{ticket_id}/cancel                             plan     ticket
POST   /tickets/{ticket_id}/cite                               work     ticket
POST   /tickets/{ticket_id}/close_unsigned                     plan     ticket
POST   /tickets/{ticket_id}/comment                            report   ticket
POST   /tickets/{ticket_id}/cost-requests                      work     ticket
POST   /tickets/{ticket_id}/costs                              work     ticket
POST   /tickets/{ticket_id}/costs/{line}/take-back             work     ticket
GET    /tickets/{ticket_id}/course                             read     ticket
POST   /tickets/{ticket_id}/decline                            work     ticket
POST   /tickets/{ticket_id}/depart                             work     ticket
POST   /tickets/{ticket_id}/downtime                           work     ticket
POST   /tickets/{ticket_id}/duplicate                          plan     ticket
POST   /tickets/{ticket_id}/enquiries                          report   ticket
POST   /tickets/{ticket_id}/estimate                           work     ticket
POST   /tickets/{ticket_id}/false_alarm                        plan     ticket
POST   /tickets/{ticket_id}/fields                             work     ticket
POST   /tickets/{ticket_id}/hold                               work     ticket
POST   /tickets/{ticket_id}/keep_baseline                      tune     ticket
POST   /tickets/{ticket_id}/labour                             work     ticket
POST   /tickets/{ticket_id}/obligations/{kind}                 work     ticket
POST   /tickets/{ticket_id}/operations                         work     ticket
POST   /tickets/{ticket_id}/operations/{seq}/{deed}            work     ticket
GET    /tickets/{ticket_id}/parts                              read     ticket
POST   /tickets/{ticket_id}/photos                             work     ticket
GET    /tickets/{ticket_id}/photos/{sha256}                    read     ticket
POST   /tickets/{ticket_id}/rating                             report   ticket
POST   /tickets/{ticket_id}/reject                             report   ticket
POST   /tickets/{ticket_id}/relearn                            tune     ticket
POST   /tickets/{ticket_id}/reopen                             lead     ticket
POST   /tickets/{ticket_id}/requisitions                       work     ticket
POST   /tickets/{ticket_id}/resolve                            work     ticket
POST   /tickets/{ticket_id}/resume                             work     ticket
POST   /tickets/{ticket_id}/safety/{checklist}                 work     ticket
POST   /tickets/{ticket_id}/sign                               report   ticket
POST   /tickets/{ticket_id}/sign-code                          report   ticket
POST   /tickets/{ticket_id}/signature                          report   ticket
POST   /tickets/{ticket_id}/sisters                            plan     ticket
POST   /tickets/{ticket_id}/split                              plan     ticket
POST   /tickets/{ticket_id}/substate                           work     ticket
POST   /tickets/{ticket_id}/taken/{how}                        work     ticket
POST   /tickets/{ticket_id}/transfer                           work     ticket
POST   /tickets/{ticket_id}/unmerge                            plan     ticket
GET    /wechat/{account}                                         open     none
POST   /wechat/{account}                                         open     none
"""
TABLE = {
    (method, path): (right, kind)
    for method, path, right, kind in (line.split() for line in EXPECTED.strip().splitlines())
}
_ADDRESS = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path)) for _, path in TABLE}
NO_THING = {
    "step": "assign",
    "kind": "review",
    "how": "claim",
    "person": "wang.lei",
    "name": BACKTEST,
    "message": "1",
    "key": "1",
    "account": "viewer",
    "door": "unlock",
    "session": "1",
    "letter": "plant_mqtt:7",
    "batch_id": "1",
    "audit_id": "1",
    "part": "Y-90",
    "plan": "grease",
    "meter": "hours",
    "template": "overhaul",
    "seq": "1",
    "deed": "take-back",
    "what": "parts",
    "line": "1",
    "delegation": "1",
    "checklist": "lock_out_tag_out",
    "type_code": "equipment_repair",
    "code": "closing_rate",
    "action": "1",
}
"""Parameters of addresses that name no thing with a place, and something that each can be."""
ELSEWHERE = {
    "/api/v1/topics/{name}": "andon.ticket.opened.v1",
    "/api/v1/tickets/{ticket_id}/links/{kind}/{other}": "blocks",
    "/api/v1/batches/{batch_id}/{deed}": "freeze",
    "/batches/{batch_id}/{deed}": "freeze",
}
ASKED = {"/api/v1/analysis": "?rows=asset", "/analysis": "?rows=asset"}
"""What is asked for besides, so that an answer names machines."""
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="p"\r\n\r\n\r\n--x--\r\n'
UPLOADS = {
    "/api/v1/tickets/{ticket_id}/photos": UPLOAD,
    "/api/v1/tickets/{ticket_id}/signature": UPLOAD.replace(b"photo", b"picture"),
    "/api/v1/reports/{report_id}/attachments": UPLOAD.replace(b"photo", b"file"),
}
MULTIPART = "multipart/form-data; boundary=x"
NO_FORM = "multipart/form-data"
"""A form that cannot be read is refused behind the right and the place, and before anything is done or drawn."""
NOT_THERE = {"not_found", *(one.code for one in OBJECTS.values() if one.code)}
READ_FIRST = {"/preferences", "/pipeline/outbox/redrive", "/account/keys"}
"""Whose fields are read before the right is asked for."""
ENDS_THE_SESSION = {"/sign-out", "/account/sessions/{session}/end"}
OF_THE_PLANT = {"/api/v1/people"}
"""People are the whole plant's, with the lines that they work on."""
PERHAPS = {
    *("/api/v1/partners/{name}/events", "/api/v1/partners/{name}/unconfirmed"),
    *("/api/v1/partners/{name}/send-again", "/partners/{name}/send-again"),
    *("/account/keys/{key}/revoke", "/people/{account}/keys/{key}/revoke", "/api/v1/outbox/{message}"),
    *("/api/v1/dead-letters/{letter}", "/api/v1/dead-letters/{letter}/redrive"),
    *("/delegations/{delegation}/revoke", "/api/v1/delegations/{delegation}/revoke"),
    "/api/v1/tickets/{ticket_id}/costs/{line}/take-back",
    "/api/v1/tickets/{ticket_id}/safety/{checklist}",
    *("/api/v1/parts/{part}", "/parts/{part}"),
    *("/pipeline/letters/{letter}", "/pipeline/letters/{letter}/redrive", "/pipeline/timers/again"),
    "/tickets/{ticket_id}/attachments/{sha256}",
    *("/api/v1/plans/{plan}", "/plans/{plan}", "/plans/{plan}/edit"),
    *(f"/api/v1/tickets/{{ticket_id}}/operations/{{seq}}/{deed}" for deed in ("take-back", "leave-out")),
    *(f"/api/v1/tickets/{{ticket_id}}/operations/{{seq}}/{deed}" for deed in ("done", "correct")),
}
"""Where 404 may say that there is no partner, key, message, step, letter or part of that name."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoLines]:
    yield from _made(TwoLines(tmp_path_factory.mktemp("two_lines")))


def _made(world: TwoLines) -> Iterator[TwoLines]:
    for role in Role:
        world.account(f"{role}.{HERE}", role, places=PLACES[HERE], person="wang.lei")
        world.account(str(role), role, person="wang.lei")
    asyncio.run(world.furnish("administrator"))
    yield world
    world.floor.database.dispose()


def test_every_route_is_in_the_table_and_asks_for_that_one_right(world: TwoLines) -> None:
    found = {
        (one.method, one.path): (
            ",".join(str(needs.right) for needs in one.needs) or "open",
            "plant" if any(needs.whole for needs in one.needs) else "",
        )
        for one in routes_of(world.app)
    }
    assert sorted(found.keys() - TABLE.keys()) == [], (
        "put them into EXPECTED: which right, what they are about"
    )
    assert sorted(TABLE.keys() - found.keys()) == [], "there is no such route any more"
    told = {name: (right, "plant" if kind == "plant" else "") for name, (right, kind) in TABLE.items()}
    assert {name: found[name] for name in found if found[name] != told[name]} == {}


def test_whatever_an_address_names_is_a_thing_with_a_place_or_known_to_be_none() -> None:
    parameters = {one for _, path in TABLE for one in re.findall(r"{(\w+)}", path)}
    assert sorted(parameters - OBJECTS.keys() - NO_THING.keys() - {"sha256"}) == []
    assert all(
        f"{{{kind}" in path for (_, path), (_, kind) in TABLE.items() if kind not in {"list", "plant", "none"}
    )


def address(path: str, line: str, world: TwoLines) -> str:
    """The route's address of the things on that line."""
    named = NO_THING | world.named[line]
    for key in ("name", "kind", "deed"):
        if path in ELSEWHERE and f"{{{key}}}" in path:
            named = named | {key: ELSEWHERE[path]}
    return re.sub(r"{(\w+)}", lambda found: str(named[found[1]]), path) + ASKED.get(path, "")


async def sent(world: TwoLines, who: str, method: str, path: str, line: str) -> Answer:
    """A request with as little in it as can be: what it lacks is refused behind the right and the place."""
    at, body, media = address(path, line, world), None, ""
    if path in UPLOADS:
        body, media = UPLOADS[path], MULTIPART
    elif path == "/api/v1/detectors/backtests":
        body, media = b"", "application/toml"
    elif path == "/api/v1/stock/sheets":
        body, media = b"", "text/csv"
    elif method in {"POST", "PUT", "PATCH"}:
        body, media = ({}, "") if path.startswith("/api/") else (b"x", NO_FORM)
    if path in READ_FIRST:
        body, media = b"channel=x", "application/x-www-form-urlencoded"
    return await world.ask(who, method, at, body, media)


@pytest.mark.parametrize("role", Role)
def test_each_role_is_let_in_where_it_has_the_right_and_sees_the_place(world: TwoLines, role: Role) -> None:
    wrong = asyncio.run(_all_as(world, role))
    assert wrong == []


async def _all_as(world: TwoLines, role: Role) -> list[str]:
    own, theirs = world.tells_of(HERE), world.tells_of(THERE)
    wrong: list[str] = []
    for (method, path), (right, kind) in TABLE.items():
        if method == "WS" or right == "open" or path in ENDS_THE_SESSION:
            continue
        answer = await sent(world, f"{role}.{HERE}", method, path, HERE)
        said = f"{method} {path} ({right}, {kind}): {answer.status} {answer.code} {answer.text[:150]}"
        if Right(right) not in RIGHTS[role]:
            fits = (answer.status, answer.code) == (403, "no_right")
            if role is Role.VIEWER:  # the right is asked before the place: for one role is for all
                far = await sent(world, f"{role}.{HERE}", method, path, THERE)
                fits = fits and (far.status, far.code) == (403, "no_right")
        elif kind == "plant":
            whole = _let_in(await sent(world, str(role), method, path, HERE), path)
            fits = (answer.status, answer.code) == (403, "only_whole_plant")
            fits = fits and whole is (role is not Role.PARTNER)  # another company is never everywhere
        else:
            fits = _let_in(answer, path) and await _is_not_there(world, role, method, path)
        if method == "GET" and path not in OF_THE_PLANT and (leak := theirs.search(answer.text)):
            wrong.append(f"{said} tells of the other line: {leak[0]}")
        if kind == "list" and answer.status == 200 and not own.search(answer.text):
            wrong.append(f"{said} tells of nothing on its own line")
        if not fits:
            wrong.append(said)
        wrong += [f"{method} {path} shows {form}" for form in _forms(answer, role)]
    return wrong


def _forms(answer: Answer, role: Role) -> Iterator[str]:
    """What a page offers to send that its reader may not send, or only for the whole plant."""
    for action in set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"?#]+)', answer.text)):
        path = next(path for (method, path) in TABLE if method == "POST" and _ADDRESS[path].fullmatch(action))
        right, kind = TABLE["POST", path]
        if right != "open" and (Right(right) not in RIGHTS[role] or kind == "plant"):
            yield f"POST {action}"


def _let_in(answer: Answer, path: str) -> bool:
    refused = {"no_right", "only_whole_plant", "acts_for_others", *NOT_THERE}
    if answer.status == 404 and (path in PERHAPS or GONE in answer.text):
        return True
    return answer.status not in {401, 405} and answer.status < 500 and answer.code not in refused


async def _is_not_there(world: TwoLines, role: Role, method: str, path: str) -> bool:
    """Whether the same thing on the other line is answered as one that there is not; what is consumed is made anew."""
    kind = TABLE[method, path][1]
    if kind == "label":
        await world.mark(HERE)
    if kind in {"list", "none"}:
        return True
    answer = await sent(world, f"{role}.{HERE}", method, path, THERE)
    return answer.status == 404 and answer.code in NOT_THERE
