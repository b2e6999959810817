select
    filename,
    file_month,
    service_type,
    {{ as_month('pickup_datetime') }} as revenue_month,
    pickup_location_id,
    pickup_zone,
    sum(fare_amount) as fare_amount,
    sum(extra) as extra,
    sum(mta_tax) as mta_tax,
    sum(tip_amount) as tip_amount,
    sum(tolls_amount) as tolls_amount,
    sum(ehail_fee) as ehail_fee,
    sum(improvement_surcharge) as improvement_surcharge,
    sum(total_amount) as total_amount,
    count(*) as trips,
    sum(passenger_count) as passengers,
    count(passenger_count) as trips_with_passengers,
    sum(trip_distance) as trip_distance
from {{ ref('fct_trips') }}
where {{ in_chosen_files() }}
group by 1, 2, 3, 4, 5, 6
