with quarters as (
    select
        service_type,
        cast(extract(year from revenue_month) as {{ dbt.type_int() }}) as revenue_year,
        cast(extract(quarter from revenue_month) as {{ dbt.type_int() }}) as revenue_quarter,
        sum(total_amount) as total_amount,
        sum(trips) as trips
    from {{ ref('zone_revenue_by_file') }}
    where revenue_month is not null
    group by 1, 2, 3
)
select
    now.service_type,
    now.revenue_year,
    now.revenue_quarter,
    now.total_amount,
    now.trips,
    before.total_amount as total_amount_year_before,
    round(100 * (now.total_amount - before.total_amount) / nullif(before.total_amount, 0), 2) as growth_percent
from quarters as now
left join quarters as before
    on now.service_type = before.service_type
    and now.revenue_year = before.revenue_year + 1
    and now.revenue_quarter = before.revenue_quarter
