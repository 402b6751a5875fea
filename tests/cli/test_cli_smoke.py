def test_models(quick, semi, supervised, gaussian, mixture_labels, dim_reduction, ten_d, iris):
    pass
