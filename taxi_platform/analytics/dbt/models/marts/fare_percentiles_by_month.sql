with fares as (
    select
        service_type,
        {{ as_month('pickup_datetime') }} as pickup_month,
        fare_amount
    from {{ ref('fct_trips') }}
    where fare_amount > 0
        and trip_distance > 0
        and payment_type_description in ('Cash', 'Credit card')
        and pickup_borough <> 'Unknown'
        and dropoff_borough <> 'Unknown'
),
ranked as (
    select
        *,
        row_number() over (partition by service_type, pickup_month order by fare_amount) as place,
        count(*) over (partition by service_type, pickup_month) as trips
    from fares
)
select
    service_type,
    pickup_month,
    count(*) as trips,
    {%- for percent in [90, 95, 97] %}
    min(case when place >= 0.{{ percent }} * trips then fare_amount end) as fare_p{{ percent }}{{ "," if not loop.last }}
    {%- endfor %}
from ranked
group by 1, 2
