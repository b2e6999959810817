with trips as (
    select * from {{ ref('stg_green_tripdata') }}
    union all
    select * from {{ ref('stg_yellow_tripdata') }}
),
numbered as (
    -- A refund repeats the times and places of its trip, so without the amounts the choice between the two is arbitrary.
    select
        *,
        row_number() over (
            partition by filename, vendor_id, pickup_datetime, pickup_location_id
            order by dropoff_datetime, total_amount desc, fare_amount desc, trip_distance desc, dropoff_location_id
        ) as place
    from trips
)
select
    {{ surrogate_key(['t.vendor_id', time_text('t.pickup_datetime'), 't.pickup_location_id', 't.filename']) }} as trip_id,
    t.service_type,
    t.filename,
    t.file_month,
    t.vendor_id,
    vendors.vendor,
    t.rate_code_id,
    rate_codes.rate_code,
    t.pickup_location_id,
    pickup.borough as pickup_borough,
    pickup.zone as pickup_zone,
    t.dropoff_location_id,
    dropoff.borough as dropoff_borough,
    dropoff.zone as dropoff_zone,
    t.pickup_datetime,
    t.dropoff_datetime,
    t.store_and_fwd_flag,
    t.passenger_count,
    t.trip_distance,
    t.trip_type,
    t.fare_amount,
    t.extra,
    t.mta_tax,
    t.tip_amount,
    t.tolls_amount,
    t.ehail_fee,
    t.improvement_surcharge,
    t.congestion_surcharge,
    t.airport_fee,
    t.cbd_congestion_fee,
    t.total_amount,
    t.payment_type,
    coalesce(payments.description, 'Unknown') as payment_type_description
from numbered as t
left join {{ ref('dim_zones') }} as pickup on t.pickup_location_id = pickup.location_id
left join {{ ref('dim_zones') }} as dropoff on t.dropoff_location_id = dropoff.location_id
left join {{ ref('payment_types') }} as payments on t.payment_type = payments.payment_type
left join {{ ref('vendors') }} as vendors on t.vendor_id = vendors.vendor_id
left join {{ ref('rate_codes') }} as rate_codes on t.rate_code_id = rate_codes.rate_code_id
where t.place = 1
