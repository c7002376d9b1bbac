using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// The large pieces of memory that quantising takes, kept from block to block: as garbage they would pile up beside their successors,
/// and new pages cost more than what is computed in them.
/// </summary>
/// <param name="backend">Computes the Hessians, reads weights.</param>
internal sealed class QuantizationMemory(CpuBackend backend)
{
    private const int ReadRows = 64;

    private readonly Dictionary<string, HessianAccumulator> _hessians = [];
    private readonly Dictionary<int, double[]> _factors = [];
    private float[] _weights = [];

    /// <summary>An empty sum for the input of a layer; that of the same layer in an earlier block ends.</summary>
    public HessianAccumulator Hessian(LinearLayer layer)
    {
        if (_hessians.TryGetValue(layer.ShortName, out HessianAccumulator? hessian))
        {
            hessian.Restart(layer.Name);
            return hessian;
        }

        return _hessians[layer.ShortName] = new HessianAccumulator(layer.Weight.InDim, layer.Name, backend);
    }

    /// <summary>Room for a factor; one of the same size ends. [columns, columns]</summary>
    public double[] Factor(int columns)
    {
        if (!_factors.TryGetValue(columns, out double[]? memory))
        {
            memory = _factors[columns] = LargePages.AllocateArray<double>(columns * columns);
        }

        return memory;
    }

    /// <summary>The dense weights of a layer, until the next are asked for. [outDim, inDim]</summary>
    public ReadOnlySpan<float> Weights(LinearLayer layer)
    {
        Tensor dense = layer.Weight.Dense!;
        int count = checked((int)dense.Shape.Count);
        if (_weights.Length < count)
        {
            _weights = LargePages.AllocateArray<float>(count);
        }

        int columns = layer.Weight.InDim;
        backend.For(layer.Weight.OutDim, ReadRows, (start, end) =>
            dense.ViewRows(start, end - start).CopyTo(_weights.AsSpan((int)start * columns, (int)(end - start) * columns)));
        return _weights.AsSpan(0, count);
    }
}
