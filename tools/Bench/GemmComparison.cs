using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench kernels --gemm</c>: products of the shapes that models have, dense and quantised, beside the libraries that others use.</summary>
/// <param name="backend">Ours.</param>
/// <param name="limits">Of this run.</param>
/// <param name="python">Interpreter for PyTorch; null for no peers at all.</param>
/// <param name="quick">Fewer shapes and turns.</param>
internal sealed class GemmComparison(CpuBackend backend, MachineLimits limits, string? python, bool quick)
{
    private const int GroupSize = 128;

    /// <summary>Arithmetic of a turn, so that short products are repeated.</summary>
    private const double TurnFlops = 1e10;

    /// <summary>Weights that no cache holds.</summary>
    private const long ColdBytes = 1L << 30;

    private readonly int _turns = quick ? 2 : 9;

    /// <summary>Measures everything and prints a line for each side.</summary>
    public void Run()
    {
        using OpenBlas? blas = python is null ? null : OpenBlas.TryLoad(limits.Threads);
        using OneDnn? dnn = python is null ? null : OneDnn.TryLoad(limits.Threads);
        using PyTorch? torch = python is null ? null : PyTorch.TryStart(python, limits.Threads);
        Report.Line($"{"product",-18}{"M",6}{"N",6}{"K",6}  {"",-28}{"best",9}{"median",9} GFLOP/s");
        foreach ((int m, int n, int k) in Shapes())
        {
            Dense(m, n, k, Precision.Float32, blas, dnn: null, torch);
            Dense(m, n, k, Precision.BFloat16, blas: null, dnn, torch);
            Quantized(m, n, k);
        }

        foreach (int rows in (int[])[1, 4, 16])
        {
            Cold(rows, quick ? 512 : 4096, quick ? ColdBytes >> 6 : ColdBytes);
        }
    }

    private IEnumerable<(int M, int N, int K)> Shapes() => quick
        ? [(64, 256, 256)]
        : from size in ((int N, int K)[])[(2048, 2048), (4096, 4096), (5632, 2048)] from m in (int[])[64, 256, 1024] select (m, size.N, size.K);

    private void Dense(int m, int n, int k, Precision precision, OpenBlas? blas, OneDnn? dnn, PyTorch? torch)
    {
        Tensor x = RandomTensor(precision, m, k);
        Tensor weight = RandomTensor(precision, n, k);
        Tensor y = Tensor.Create(new Shape(m, n));
        List<Contestant> all = [Repeated("PureQLora", m, n, k, () => backend.MatMul(x, false, weight, true, 1f, accumulate: false, y, precision))];
        if (blas is not null)
        {
            all.Add(Repeated(blas.Version, m, n, k, () => blas.Multiply(x.Floats, weight.Floats, y.Floats, m, n, k)));
        }

        using OneDnn.Product? product = dnn?.Prepare(m, n, k);
        if (product is not null)
        {
            all.Add(Repeated(dnn!.Version, m, n, k, product.Run));
        }

        if (torch is not null)
        {
            torch.PrepareProduct(m, n, k, precision == Precision.Float32 ? "float32" : "bfloat16");
            all.Add(new Contestant($"PyTorch {torch.Version}", torch.Product));
        }

        Show(precision == Precision.Float32 ? "float32" : "bfloat16", m, n, k, all, limits.PeakOf(precision));
    }

    private void Quantized(int m, int n, int k)
    {
        using QuantizedMatrix codes = RandomQuantizedWeights.Matrix(n, k, GroupSize, key: 5);
        WeightMatrix weight = new(codes);
        foreach (Precision precision in (Precision[])[Precision.Float32, Precision.BFloat16])
        {
            string name = precision == Precision.Float32 ? "int4 float32" : "int4 bfloat16";
            Tensor x = RandomTensor(Precision.Float32, m, k);
            Tensor y = RandomTensor(Precision.Float32, m, n);
            Tensor dx = Tensor.Create(new Shape(m, k));
            Contestant forward = Repeated("forward", m, n, k, () => backend.WeightMatMul(x, weight, transposeWeight: true, accumulate: false, y, precision));
            Show(name, m, n, k, [forward], limits.PeakOf(precision));
            Contestant backward = Repeated("backward", m, n, k, () => backend.WeightMatMul(y, weight, transposeWeight: false, accumulate: false, dx, precision));
            Show(name, m, n, k, [backward], limits.PeakOf(precision));
        }
    }

    /// <summary>Few rows times different matrices, of which none is in a cache when its turn comes: what decoding does.</summary>
    private void Cold(int rows, int size, long bytes)
    {
        List<WeightMatrix> weights = [];
        long held = 0;
        for (ulong key = 0; held < bytes; key++)
        {
            weights.Add(new WeightMatrix(RandomQuantizedWeights.Matrix(size, size, GroupSize, key)));
            held += weights[^1].ByteLength;
        }

        Tensor x = RandomTensor(Precision.Float32, rows, size);
        Tensor y = Tensor.Create(new Shape(rows, size));
        foreach (Precision precision in (Precision[])[Precision.Float32, Precision.BFloat16])
        {
            Contestant ours = Contestant.Timed("PureQLora", () => weights.ForEach(weight => backend.WeightMatMul(x, weight, transposeWeight: true, accumulate: false, y, precision)));
            Contestant.Compete(_turns, [ours], ToolProgram.Cancellation);
            double rate = held / ours.Best;
            Report.Line($"int4 on cold weights, {precision}, {rows,2} × [{size}, {size}]: {rate / 1e9:F1} GB/s best, {held / ours.Median / 1e9:F1} median, {Report.Percent(rate / limits.Read)} of the read bandwidth");
        }

        weights.ForEach(weight => weight.Quantized!.Dispose());
    }

    private void Show(string product, int m, int n, int k, List<Contestant> all, (string Name, double Rate) peak)
    {
        Contestant.Compete(_turns, all, ToolProgram.Cancellation);
        double flops = 2.0 * m * n * k;
        foreach (Contestant contestant in all)
        {
            string ratio = contestant == all[0] ? "" : Report.Ratio(contestant.Best / all[0].Best);
            Report.Line($"{product,-18}{m,6}{n,6}{k,6}  {contestant.Name,-28}{flops / contestant.Best / 1e9,9:F0}{flops / contestant.Median / 1e9,9:F0} {Report.Percent(flops / contestant.Best / peak.Rate),5} of {peak.Name}{ratio}");
        }
    }

    /// <summary>The best of some repeats in a turn.</summary>
    private Contestant Repeated(string name, int m, int n, int k, Action run)
    {
        Contestant single = Contestant.Timed(name, run);
        int repeats = quick ? 1 : Math.Clamp((int)(TurnFlops / (2.0 * m * n * k)), 1, 32);
        return new Contestant(name, () => Enumerable.Range(0, repeats).Min(_ => single.Run()));
    }

    private static Tensor RandomTensor(Precision precision, int rows, int columns)
    {
        float[] values = new float[(long)rows * columns];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (2f * RandomState.Uniform(9, i)) - 1f;
        }

        if (precision == Precision.Float32)
        {
            return Tensor.From(values, new Shape(rows, columns));
        }

        Tensor rounded = Tensor.Create(new Shape(rows, columns), DataType.BFloat16);
        BFloat16[] halves = Array.ConvertAll(values, static value => (BFloat16)value);
        rounded.Storage.Write(0, System.Runtime.InteropServices.MemoryMarshal.AsBytes<BFloat16>(halves));
        return rounded;
    }
}
