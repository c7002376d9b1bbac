using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Products of many rows with weights of 4 bits and in bfloat16, beside cuBLAS.</summary>
internal sealed class GpuProductPart() : GpuPart("products", "Products of many rows, bfloat16 operands, float32 sums", 55)
{
    private const int GroupSize = 128;

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        (int N, int K)[] shapes = work.Quick ? [(128, 128)] : [(4096, 4096), (11_008, 4096), (4096, 11_008), (2048, 2048)];
        int[] rows = work.Quick ? [16] : [1024, 4096];
        foreach ((int n, int k) in shapes)
        {
            using QuantizedMatrix codes = RandomQuantizedWeights.Matrix(n, k, GroupSize, key: 1);
            WeightMatrix weight = new(codes);
            foreach (int m in rows)
            {
                Measure(work, weight, m);
            }

            work.Backend.Release(codes);
        }
    }

    private static void Measure(GpuWork work, WeightMatrix weight, int m)
    {
        (int n, int k) = (weight.OutDim, weight.InDim);
        (Tensor x, Tensor y) = (work.Random(new Shape(m, k), 1), work.New(new Shape(m, n)));
        double forward = work.Seconds(() => work.Backend.WeightMatMul(x, weight, true, accumulate: false, y, Precision.BFloat16));
        double backward = work.Seconds(() => work.Backend.WeightMatMul(y, weight, false, accumulate: false, x, Precision.BFloat16));
        Tensor dense = work.Random(new Shape(n, k), 2);
        double plain = work.Seconds(() => work.Backend.MatMul(x, false, dense, true, 1f, accumulate: false, y, Precision.BFloat16));
        double? library = work.Ask("product", peer => peer.Product(m, n, k));
        double? unpacked = work.Ask("dequantised product", peer => peer.Dequantised(m, n, k));
        double flops = 2.0 * m * n * k;
        Add("int4 forward", forward, unpacked);
        Add("int4 input gradient", backward, null);
        Add("bfloat16", plain, null);
        foreach (Tensor tensor in new[] { x, y, dense })
        {
            tensor.Storage.Dispose();
        }

        void Add(string pass, double seconds, double? afterUnpacking) => work.Report(GpuRow.Of(
            $"{pass}, {m} × {k} by {n}",
            ("ms", 1e3 * seconds),
            ("TFLOP/s", flops / seconds / 1e12),
            ("% of nominal peak", Percent(flops / seconds / NominalPeak.Of(work.Backend.Description))),
            ("cuBLAS ms", Milliseconds(library)),
            ("% of cuBLAS", Percent(library / seconds)),
            ("dequantise, then cuBLAS ms", Milliseconds(afterUnpacking))));
    }
}
