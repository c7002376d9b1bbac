using System.Globalization;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Sums a layer's calibration inputs X [n, columns] into H = 2/n · XᵀX, the Hessian of its squared output error.</summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, eq. 3. Products are float32 over runs of at most 128 rows, everything longer is summed in float64.
/// Inputs that do not come in whole batches are gathered into such, so the result depends neither on how the rows arrive nor on the
/// number of threads.
/// </remarks>
public sealed class HessianAccumulator
{
    /// <summary>A multiple of the runs of <see cref="CpuBackend.SymmetricUpdate"/>, and enough for its full speed.</summary>
    private const int BatchRows = 512;

    private const int CheckedRows = 64;

    // The square of it, 128 times over, is still a float32.
    private const float LargestInput = 1e18f;

    private readonly CpuBackend _backend;
    private readonly double[] _sum; // [columns, columns], upper triangle
    private string _layer;
    private float[] _batch = [];    // [BatchRows, columns], made when rows come that fill none
    private int _batchFill;
    private long _rowCount;
    private bool _completed;

    /// <summary>Starts an empty sum.</summary>
    /// <param name="columns">Input features of the layer.</param>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <param name="backend">Computes; null for the caller's thread.</param>
    /// <exception cref="UserErrorException">The Hessian would not fit into one array.</exception>
    public HessianAccumulator(int columns, string layer, CpuBackend? backend = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if ((long)columns * columns > Array.MaxLength)
        {
            throw new UserErrorException(
                $"{layer} has {columns} input features, GPTQ allows up to {(int)Math.Sqrt(Array.MaxLength)}; quantise this layer with method rtn or leave it out of the targets.");
        }

        Columns = columns;
        _layer = layer;
        _backend = backend ?? SingleThread.Backend;
        _sum = LargePages.AllocateArray<double>(columns * columns);
        Clear();
    }

    /// <summary>Input features of the layer.</summary>
    public int Columns { get; }

    /// <summary>Calibration rows added so far, n.</summary>
    public long RowCount => _rowCount;

    /// <summary>Adds calibration inputs.</summary>
    /// <param name="rows">[rowCount, columns]</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <exception cref="UserErrorException">An input is NaN, infinite or beyond ±1e18.</exception>
    /// <exception cref="InvalidOperationException">The sum is completed.</exception>
    public void Add(ReadOnlySpan<float> rows, int rowCount)
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        ArgumentOutOfRangeException.ThrowIfNotEqual(rows.Length, (long)rowCount * Columns);
        RequireFinite(rows, rowCount);
        _rowCount += rowCount;
        while (rowCount > 0)
        {
            int taken = _batchFill == 0 && rowCount >= BatchRows ? AddWholeBatches(rows, rowCount) : Gather(rows, rowCount);
            rows = rows[(taken * Columns)..];
            rowCount -= taken;
        }
    }

    /// <summary>Ends the sum and hands over H, both triangles, row-major. [columns, columns]</summary>
    /// <exception cref="UserErrorException">No row was added.</exception>
    public double[] Complete()
    {
        ObjectDisposedException.ThrowIf(_completed, this);
        if (_rowCount == 0)
        {
            throw new UserErrorException($"{_layer} saw no calibration input, GPTQ needs at least one row; give it calibration text or use method rtn.");
        }

        _backend.SymmetricUpdate(_batch.AsSpan(0, _batchFill * Columns), Columns, _sum);
        _completed = true;
        double factor = 2.0 / _rowCount;
        _backend.For(Columns, CheckedRows, (start, end) => TensorPrimitives.Multiply(
            _sum.AsSpan((int)start * Columns, (int)(end - start) * Columns), factor, _sum.AsSpan((int)start * Columns, (int)(end - start) * Columns)));

        // By squares, so that the columns read lie in the cache.
        _backend.For(Columns, CheckedRows, (start, end) =>
        {
            for (int above = 0; above < end; above += CheckedRows)
            {
                Mirror((int)start, (int)end, above);
            }
        });
        return _sum;
    }

    /// <summary>Starts an empty sum in the memory of the last, which <see cref="Complete"/> handed over.</summary>
    /// <param name="layer">The next layer's name.</param>
    internal void Restart(string layer)
    {
        _layer = layer;
        (_batchFill, _rowCount, _completed) = (0, 0, false);
        Clear();
    }

    private void Clear() =>
        _backend.For(Columns, CheckedRows, (start, end) => _sum.AsSpan((int)start * Columns, (int)(end - start) * Columns).Clear());

    /// <summary>Elements below the diagonal in rows start … end − 1 and 64 columns from <paramref name="first"/> on.</summary>
    private void Mirror(int start, int end, int first)
    {
        for (int row = start; row < end; row++)
        {
            for (int column = first; column < Math.Min(first + CheckedRows, row); column++)
            {
                _sum[(row * Columns) + column] = _sum[(column * Columns) + row];
            }
        }
    }

    private int AddWholeBatches(ReadOnlySpan<float> rows, int rowCount)
    {
        int taken = rowCount / BatchRows * BatchRows;
        _backend.SymmetricUpdate(rows[..(taken * Columns)], Columns, _sum);
        return taken;
    }

    private int Gather(ReadOnlySpan<float> rows, int rowCount)
    {
        int taken = Math.Min(BatchRows - _batchFill, rowCount);
        if (_batch.Length == 0)
        {
            _batch = GC.AllocateUninitializedArray<float>(checked(BatchRows * Columns));
        }

        rows[..(taken * Columns)].CopyTo(_batch.AsSpan(_batchFill * Columns));
        _batchFill += taken;
        if (_batchFill == BatchRows)
        {
            _backend.SymmetricUpdate(_batch, Columns, _sum);
            _batchFill = 0;
        }

        return taken;
    }

    private unsafe void RequireFinite(ReadOnlySpan<float> rows, int rowCount)
    {
        int bad = 0;
        fixed (float* pinned = rows)
        {
            float* values = pinned;
            _backend.For(rowCount, CheckedRows, (start, end) =>
            {
                if (!IsUsable(new ReadOnlySpan<float>(values + (start * Columns), (int)(end - start) * Columns)))
                {
                    Interlocked.Exchange(ref bad, 1);
                }
            });
        }

        for (int row = 0; bad != 0 && row < rowCount; row++)
        {
            ReadOnlySpan<float> values = rows.Slice(row * Columns, Columns);
            if (!IsUsable(values))
            {
                throw new UserErrorException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Calibration row {_rowCount + row} of {_layer} holds {TensorPrimitives.MaxMagnitude(values)}, allowed are values from {-LargestInput} to {LargestInput}; the model's weights or the calibration data are damaged."));
            }
        }
    }

    // The largest with its sign; NaN if any value is.
    private static bool IsUsable(ReadOnlySpan<float> values) => Math.Abs(TensorPrimitives.MaxMagnitude(values)) <= LargestInput;
}
