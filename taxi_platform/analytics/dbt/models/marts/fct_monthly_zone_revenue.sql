select
    coalesce(pickup_zone, 'Unknown Zone') as pickup_zone,
    revenue_month,
    service_type,
    sum(fare_amount) as revenue_monthly_fare,
    sum(extra) as revenue_monthly_extra,
    sum(mta_tax) as revenue_monthly_mta_tax,
    sum(tip_amount) as revenue_monthly_tip_amount,
    sum(tolls_amount) as revenue_monthly_tolls_amount,
    sum(ehail_fee) as revenue_monthly_ehail_fee,
    sum(improvement_surcharge) as revenue_monthly_improvement_surcharge,
    sum(total_amount) as revenue_monthly_total_amount,
    sum(trips) as total_monthly_trips,
    round(sum(passengers) * 1.0 / nullif(sum(trips_with_passengers), 0), 4) as avg_monthly_passenger_count,
    round(sum(trip_distance) / sum(trips), 4) as avg_monthly_trip_distance
from {{ ref('zone_revenue_by_file') }}
group by 1, 2, 3
