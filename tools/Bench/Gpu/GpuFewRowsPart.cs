using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Products of few rows, as decoding has them, as shares of what a copy moves.</summary>
internal sealed class GpuFewRowsPart() : GpuPart("few-rows", "Products of few rows with weights of 4 bits, from memory", 40)
{
    private const int GroupSize = 128;

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        long copied = work.Quick ? 1 << 16 : 1L << 29;
        using Storage from = work.Backend.Allocate(copied);
        using Storage to = work.Backend.Allocate(copied);
        work.Backend.Zero(new Tensor(new Shape(copied / sizeof(float)), DataType.Float32, from));
        double seconds = work.Seconds(() => work.Backend.Move(from, 0, to, 0, copied));
        double bandwidth = 2 * copied / seconds;
        double? theirs = 2 * copied / work.Ask("copy", peer => peer.Copy(copied));
        work.Report(GpuRow.Of("copy in the GPU's memory", ("µs", 1e6 * seconds), ("GB/s", bandwidth / 1e9), ("PyTorch's copy GB/s", theirs / 1e9)));
        (int N, int K)[] shapes = work.Quick ? [(16, 128)] : [(4096, 4096), (11_008, 4096), (4096, 11_008), (2048, 2048)];
        foreach ((int n, int k) in shapes)
        {
            Measure(work, n, k, bandwidth);
        }
    }

    /// <summary>Weights are taken in turns from so much memory that no cache holds them.</summary>
    private static void Measure(GpuWork work, int n, int k, double bandwidth)
    {
        long bytes = ((long)n * k / 2) + (2L * sizeof(float) * n * (k / GroupSize));
        int count = work.Quick ? 1 : (int)Math.Max(1, (256L << 20) / bytes);
        WeightMatrix[] weights = [.. Enumerable.Range(0, count).Select(i => new WeightMatrix(RandomQuantizedWeights.Matrix(n, k, GroupSize, (ulong)i)))];
        foreach (int m in work.Quick ? [1] : new[] { 1, 2, 4, 8 })
        {
            (Tensor x, Tensor y) = (work.Random(new Shape(m, k), 1), work.New(new Shape(m, n)));
            int turn = 0;
            foreach (WeightMatrix weight in weights)
            {
                work.Backend.Load(weight.Quantized!);
            }

            double seconds = work.Seconds(() =>
            {
                turn = turn + 1 == weights.Length ? 0 : turn + 1;
                work.Backend.WeightMatMul(x, weights[turn], true, accumulate: false, y, Precision.BFloat16);
            });
            double? library = work.Ask("product", peer => peer.Product(m, n, k));
            work.Report(GpuRow.Of(
                $"{m} × {k} by {n}",
                ("µs", 1e6 * seconds),
                ("GB/s", bytes / seconds / 1e9),
                ("% of copy", 100 * bytes / seconds / bandwidth),
                ("cuBLAS bfloat16 µs", 1e6 * library)));
            x.Storage.Dispose();
            y.Storage.Dispose();
        }

        foreach (WeightMatrix weight in weights)
        {
            work.Backend.Release(weight.Quantized!);
            weight.Quantized!.Dispose();
        }
    }
}
