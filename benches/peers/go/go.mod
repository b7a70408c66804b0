module ebbtide.example/peers

go 1.19
