using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Sums a layer's calibration inputs X [n, columns] into H = 2/n · XᵀX, the Hessian of its squared output error.</summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, eq. 3. Products are float32 over runs of at most 32 rows, everything longer is summed in float64.
/// Inputs are gathered into batches of fixed length, so the result depends neither on how the rows arrive nor on the number of threads.
/// </remarks>
public sealed unsafe class HessianAccumulator
{
    private const int PanelColumns = 32;
    private const int BatchRows = 512;
    private const int RunRows = 32;
    private const int TileRows = 4;

    // The square of it, 32 times over, is still a float32.
    private const float LargestInput = 1e18f;

    private readonly string _layer;
    private readonly int _panels;
    private readonly float[] _batch; // [panels, BatchRows, PanelColumns]
    private readonly double[] _sum;  // [columns, columns], upper triangle, whole panels
    private int _batchFill;
    private long _rowCount;
    private bool _completed;

    /// <summary>Starts an empty sum.</summary>
    /// <param name="columns">Input features of the layer.</param>
    /// <param name="layer">The layer's name, for error messages.</param>
    /// <exception cref="UserErrorException">The Hessian would not fit into one array.</exception>
    public HessianAccumulator(int columns, string layer)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        if ((long)columns * columns > Array.MaxLength)
        {
            throw new UserErrorException(
                $"{layer} has {columns} input features, GPTQ allows up to {(int)Math.Sqrt(Array.MaxLength)}; quantise this layer with method rtn or leave it out of the targets.");
        }

        Columns = columns;
        _layer = layer;
        _panels = ((columns - 1) / PanelColumns) + 1;
        _batch = new float[_panels * BatchRows * PanelColumns];
        _sum = new double[columns * columns];
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
        for (int row = 0; row < rowCount; row++)
        {
            ReadOnlySpan<float> values = rows.Slice(row * Columns, Columns);
            RequireFinite(values);
            for (int panel = 0; panel < _panels; panel++)
            {
                int first = panel * PanelColumns;
                int width = Math.Min(PanelColumns, Columns - first);
                values.Slice(first, width).CopyTo(_batch.AsSpan((((panel * BatchRows) + _batchFill) * PanelColumns), width));
            }

            _rowCount++;
            if (++_batchFill == BatchRows)
            {
                Flush();
            }
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

        Flush();
        _completed = true;
        double factor = 2.0 / _rowCount;
        for (int row = 0; row < Columns; row++)
        {
            for (int column = row; column < Columns; column++)
            {
                double value = _sum[(row * Columns) + column] * factor;
                _sum[(row * Columns) + column] = value;
                _sum[(column * Columns) + row] = value;
            }
        }

        return _sum;
    }

    private void RequireFinite(ReadOnlySpan<float> values)
    {
        float largest = TensorPrimitives.MaxMagnitude(values); // with its sign; NaN if any value is
        if (!(Math.Abs(largest) <= LargestInput))
        {
            throw new UserErrorException(string.Create(
                CultureInfo.InvariantCulture,
                $"Calibration row {_rowCount} of {_layer} holds {largest}, allowed are values from {-LargestInput} to {LargestInput}; the model's weights or the calibration data are damaged."));
        }
    }

    private void Flush()
    {
        if (_batchFill > 0)
        {
            Parallel.For(0, _panels, AddPanelRow);
            _batchFill = 0;
        }
    }

    /// <summary>Adds one row of 32 × 32 tiles of the upper triangle.</summary>
    private void AddPanelRow(int panelRow)
    {
        double* tile = stackalloc double[PanelColumns * PanelColumns];
        fixed (float* batch = _batch)
        {
            for (int panelColumn = panelRow; panelColumn < _panels; panelColumn++)
            {
                new Span<double>(tile, PanelColumns * PanelColumns).Clear();
                for (int run = 0; run < _batchFill; run += RunRows)
                {
                    float* left = batch + (((panelRow * BatchRows) + run) * PanelColumns);
                    float* right = batch + (((panelColumn * BatchRows) + run) * PanelColumns);
                    int depth = Math.Min(RunRows, _batchFill - run);
                    for (int row = 0; row < PanelColumns; row += TileRows)
                    {
                        AddProduct(left + row, right, depth, tile + (row * PanelColumns));
                    }
                }

                int width = Math.Min(PanelColumns, Columns - (panelColumn * PanelColumns));
                for (int row = 0; row < PanelColumns && (panelRow * PanelColumns) + row < Columns; row++)
                {
                    int start = (((panelRow * PanelColumns) + row) * Columns) + (panelColumn * PanelColumns);
                    Span<double> sum = _sum.AsSpan(start, width);
                    TensorPrimitives.Add(sum, new ReadOnlySpan<double>(tile + (row * PanelColumns), width), sum);
                }
            }
        }
    }

    /// <summary>tile[i, j] += Σ_k left[k, i] · right[k, j] for four i and 32 j; float32 products and sums.</summary>
    private static void AddProduct(float* left, float* right, int depth, double* tile)
    {
        const int Half = PanelColumns / 2;
        Vector512<float> s00 = default, s01 = default, s10 = default, s11 = default;
        Vector512<float> s20 = default, s21 = default, s30 = default, s31 = default;
        for (int k = 0; k < depth; k++, left += PanelColumns, right += PanelColumns)
        {
            Vector512<float> r0 = Vector512.Load(right), r1 = Vector512.Load(right + Half);
            Vector512<float> factor = Vector512.Create(left[0]);
            s00 = Vector512.FusedMultiplyAdd(factor, r0, s00);
            s01 = Vector512.FusedMultiplyAdd(factor, r1, s01);
            factor = Vector512.Create(left[1]);
            s10 = Vector512.FusedMultiplyAdd(factor, r0, s10);
            s11 = Vector512.FusedMultiplyAdd(factor, r1, s11);
            factor = Vector512.Create(left[2]);
            s20 = Vector512.FusedMultiplyAdd(factor, r0, s20);
            s21 = Vector512.FusedMultiplyAdd(factor, r1, s21);
            factor = Vector512.Create(left[3]);
            s30 = Vector512.FusedMultiplyAdd(factor, r0, s30);
            s31 = Vector512.FusedMultiplyAdd(factor, r1, s31);
        }

        AddWidened(tile, s00, s01);
        AddWidened(tile + PanelColumns, s10, s11);
        AddWidened(tile + (2 * PanelColumns), s20, s21);
        AddWidened(tile + (3 * PanelColumns), s30, s31);
    }

    private static void AddWidened(double* tile, Vector512<float> left, Vector512<float> right)
    {
        const int Step = PanelColumns / 4;
        (Vector512<double> v0, Vector512<double> v1) = Vector512.Widen(left);
        (Vector512<double> v2, Vector512<double> v3) = Vector512.Widen(right);
        (Vector512.Load(tile) + v0).Store(tile);
        (Vector512.Load(tile + Step) + v1).Store(tile + Step);
        (Vector512.Load(tile + (2 * Step)) + v2).Store(tile + (2 * Step));
        (Vector512.Load(tile + (3 * Step)) + v3).Store(tile + (3 * Step));
    }
}
