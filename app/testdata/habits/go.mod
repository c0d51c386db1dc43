module habits

go 1.24
