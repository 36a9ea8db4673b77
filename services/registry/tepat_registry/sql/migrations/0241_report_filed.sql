-- Reports are kept as long as the policy says, from when they were filed.
create index report_filed on report (filed_at);
