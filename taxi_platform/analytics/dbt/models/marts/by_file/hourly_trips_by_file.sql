select
    filename,
    file_month,
    service_type,
    {{ dbt.date_trunc('hour', 'pickup_datetime') }} as pickup_hour,
    count(*) as trips,
    sum(total_amount) as total_amount
from {{ ref('fct_trips') }}
where {{ in_chosen_files() }}
group by 1, 2, 3, 4
