using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>One operation at the shapes of one model, 512 tokens, float32, all threads. BenchmarkDotNet derives from it, so it is open.</summary>
public abstract class OperationBenchmark : IDisposable
{
    /// <summary>Tokens of the sequence.</summary>
    protected const int Tokens = 512;

    private CpuBackend? _backend;
    private ComputeScope? _forward;
    private ComputeScope? _training;

    /// <summary>Whose shapes.</summary>
    [ParamsAllValues]
    public ModelSize Size { get; set; }

    /// <summary>Floating-point operations of forward and of backward; 0 where memory is the bound.</summary>
    public virtual (double Forward, double Backward) Flops => (0, 0);

    protected int Hidden => Size == ModelSize.TinyLlama ? 2048 : 192;

    protected int Intermediate => Size == ModelSize.TinyLlama ? 5632 : 512;

    protected int Heads => Size == ModelSize.TinyLlama ? 32 : 6;

    protected int KeyValueHeads => Size == ModelSize.TinyLlama ? 4 : 6;

    protected int HeadDim => Size == ModelSize.TinyLlama ? 64 : 32;

    protected int Vocabulary => Size == ModelSize.TinyLlama ? 32_000 : 768;

    [GlobalSetup]
    public void Setup()
    {
        _backend = new CpuBackend();
        _forward = new ComputeScope(_backend);
        _training = new ComputeScope(_backend, recordGradients: true);
        Prepare();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _forward?.Dispose();
        _training?.Dispose();
        _backend?.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public void Forward()
    {
        Run(_forward!);
        _forward!.Reset();
    }

    /// <summary>Includes zeroing and filling the result's gradient, which a consumer would have written.</summary>
    [Benchmark]
    public void ForwardBackward()
    {
        Tensor y = Run(_training!);
        if (y.RequiresGrad)
        {
            Tensor loss = y;
            if (y.Shape.Count != 1)
            {
                loss = _training!.New(new Shape(1));
                _training.Tracks(loss, y);
                _training.Record<SeedNode>(loss).Result = y;
            }

            _training!.Backward(loss);
        }

        _training!.Reset();
    }

    /// <summary>Makes the inputs.</summary>
    protected abstract void Prepare();

    /// <summary>Runs the operation.</summary>
    protected abstract Tensor Run(ComputeScope scope);

    /// <summary>A trainable tensor of seeded values in ±1.</summary>
    protected static Tensor Parameter(params ReadOnlySpan<long> extents) => Constant(extents).AsParameter();

    /// <summary>A frozen tensor of seeded values in ±1.</summary>
    protected static Tensor Constant(params ReadOnlySpan<long> extents)
    {
        Tensor tensor = Tensor.Create(new Shape(extents));
        Span<float> values = tensor.Floats;
        ulong key = new RandomState(7).NextKey();
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (2f * RandomState.Uniform(key, i)) - 1f;
        }

        return tensor;
    }

    /// <summary>Int32 values 0 … below − 1 in a fixed scattered order.</summary>
    protected static Tensor Ids(long count, int below)
    {
        int[] ids = new int[count];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = (int)((uint)(i * 2654435761L) % below);
        }

        return Tensor.From(ids, new Shape(count));
    }

    /// <summary>A frozen 4-bit weight in groups of 64 (or one a row if shorter), as QLoRA has it.</summary>
    protected static WeightMatrix Quantized(int outDim, int inDim, WeightCodes kind = WeightCodes.Int4)
    {
        const int GroupSize = 64;
        int groups = (inDim + GroupSize - 1) / GroupSize;
        float[] scales = new float[outDim * groups];
        Array.Fill(scales, 0.01f);
        byte[] codes = new byte[outDim * inDim];
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)(RandomState.Bits(1, i) & (kind == WeightCodes.Nf4 ? 255u : 15u));
        }

        if (kind == WeightCodes.Nf4)
        {
            return new WeightMatrix(QuantizedMatrix.FromStream(outDim, inDim, GroupSize, codes.AsSpan(0, (codes.Length + 1) / 2), scales, CodeBook.NormalFloat4));
        }

        byte[] zeros = new byte[scales.Length];
        Array.Fill(zeros, (byte)8);
        return new WeightMatrix(QuantizedMatrix.FromCodes(outDim, inDim, 4, GroupSize, codes, scales, zeros));
    }
}
