using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Floats of a strip of dL/dW: 4 MiB, which the caches hold between the product and the sums over groups.</summary>
    private const long StripFloats = 1 << 20;

    /// <summary>Rows of a strip are a multiple of this, and at least as many, so that packing x again for each strip costs little.</summary>
    private const int StripUnit = 64;

    /// <inheritdoc/>
    public void ScaleGradient(Tensor dy, Tensor x, QuantizedMatrix weight, Tensor dScales, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(dy);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(dScales);
        if (dy.Shape.Rows == 0)
        {
            return;
        }

        (int outDim, int inDim) = (weight.OutDim, weight.InDim);
        long stripRows = Math.Min(outDim, Math.Max(StripUnit, StripFloats / inDim / StripUnit * StripUnit));
        using Scratch strip = Scratch.Rent(stripRows * inDim);
        using Scratch ones = Scratch.Rent(weight.Groups);
        new Span<float>(ones.Floats, weight.Groups).Fill(1f);
        GemmProblem problem = new()
        {
            First = new() { Right = MatrixSource.Of(x), Depth = dy.Shape.Rows },
            Precision = precision,
            Alpha = 1f,
            N = inDim,
            C = strip.Floats,
            RowStride = inDim,
            ColumnStride = 1,
        };
        for (long row = 0; row < outDim; row += stripRows)
        {
            problem.M = Math.Min(stripRows, outDim - row);
            problem.First.Left = MatrixSource.Of(Floats(dy) + row, outDim);
            Gemm(problem);
            ScaleGradientBody body = new(strip.Floats, row, inDim, new QuantizedRows(weight, _tier, ones.Floats, 0), weight, Floats(dScales));
            _pool.For(problem.M, RowGrain(inDim), ref body);
        }

        GC.KeepAlive(weight);
        GC.KeepAlive(dy);
        GC.KeepAlive(x);
        GC.KeepAlive(dScales);
    }

    /// <summary>Some rows of a strip: each element of dScales is one sum, whatever the threads.</summary>
    private readonly struct ScaleGradientBody : IParallelRange
    {
        private readonly float* _strip;
        private readonly long _firstRow;
        private readonly int _inDim;
        private readonly QuantizedRows _offsets;
        private readonly int* _groupIndex;
        private readonly int _groupSize;
        private readonly int _groups;
        private readonly float* _dScales;

        public ScaleGradientBody(float* strip, long firstRow, int inDim, in QuantizedRows offsets, QuantizedMatrix weight, float* dScales)
        {
            _strip = strip;
            (_firstRow, _inDim, _offsets) = (firstRow, inDim, offsets);
            _groupIndex = weight.GroupIndexPointer;
            (_groupSize, _groups) = (weight.GroupSize, weight.Groups);
            _dScales = dScales;
        }

        public void Run(long start, long end)
        {
            using Scratch buffer = Scratch.Rent(_inDim);
            for (long i = start; i < end; i++)
            {
                float* dWeight = _strip + (i * _inDim);
                float* dScales = _dScales + ((_firstRow + i) * _groups);
                _offsets.Dequantize(_firstRow + i, 0, _inDim, buffer.Floats);
                if (_groupIndex is null)
                {
                    AddNeighbours(dWeight, buffer.Floats, dScales);
                }
                else
                {
                    AddScattered(dWeight, buffer.Floats, dScales);
                }
            }
        }

        private void AddNeighbours(float* dWeight, float* offsets, float* dScales)
        {
            for (int group = 0; group < _groups; group++)
            {
                int first = group * _groupSize;
                int count = Math.Min(_groupSize, _inDim - first);
                dScales[group] += TensorPrimitives.Dot(new ReadOnlySpan<float>(dWeight + first, count), new ReadOnlySpan<float>(offsets + first, count));
            }
        }

        private void AddScattered(float* dWeight, float* offsets, float* dScales)
        {
            for (int column = 0; column < _inDim; column++)
            {
                dScales[_groupIndex[column]] += dWeight[column] * offsets[column];
            }
        }
    }
}
