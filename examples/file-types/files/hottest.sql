CREATE TABLE reading (sensor TEXT NOT NULL, at TIMESTAMP, celsius REAL);

INSERT INTO reading VALUES ('cellar', '2024-05-01 12:00:00', 11.5), ('attic', '2024-05-01 12:00:00', 24.0);

SELECT sensor, MAX(celsius) AS hottest
FROM reading
WHERE celsius > 0
GROUP BY sensor
ORDER BY hottest DESC
LIMIT 10;
