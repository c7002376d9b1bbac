namespace PureQLora.Core.Tests;

public abstract class MatMulTests : OpTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(0, 3, 2)]       // no rows
    [InlineData(3, 0, 2)]       // no columns
    [InlineData(2, 3, 0)]       // no inner extent: zeros
    [InlineData(5, 7, 3)]
    [InlineData(17, 33, 19)]    // one beyond tiles of 8, 16 and 32
    [InlineData(14, 32, 256)]   // exactly one tile of the widest kernel and one block of K
    [InlineData(15, 31, 257)]
    [InlineData(3, 70, 600)]    // few rows, long rows
    [InlineData(90, 4, 530)]    // few columns, long rows
    [InlineData(300, 290, 40)]  // more than one tile both ways
    public void MatMul_GivenAnyTransposition_ShouldMatchFloat64(int m, int n, int k)
    {
        Assert.SkipWhen(IsTooLong((long)m * n * k), "Too long for this backend.");
        for (int variant = 0; variant < 4; variant++)
        {
            (bool ta, bool tb) = ((variant & 1) != 0, (variant & 2) != 0);
            using ComputeScope scope = Record();
            Tensor a = Parameter(ta ? new(k, m) : new(m, k), 1);
            Tensor b = Parameter(tb ? new(n, k) : new(k, n), 2);

            Tensor c = MatMul.Forward(scope, a, b, ta, tb);
            BackwardFromWeightedSum(scope, c);

            (double[] da, double[] db) = (Reference.ToDouble(a), Reference.ToDouble(b));
            double[] dc = MatrixReference.OutputGradient(m * n);
            Assert.Equal(new Shape(m, n), c.Shape);
            GradientCheck.Close(MatrixReference.Product(da, ta, db, tb, m, n, k), c);
            GradientCheck.Close(ta ? MatrixReference.Product(db, tb, dc, true, k, m, n) : MatrixReference.Product(dc, false, db, !tb, m, k, n), a.Grad!);
            GradientCheck.Close(tb ? MatrixReference.Product(dc, true, da, ta, n, k, m) : MatrixReference.Product(da, !ta, dc, false, k, n, m), b.Grad!);
        }
    }

    [Theory]
    [InlineData("2,3,4,5", "2,3,5,6", false, false)]
    [InlineData("2,3,5,4", "2,3,6,5", true, true)]
    [InlineData("3,4,5", "5,6", false, false)]     // plain matrix on the right
    [InlineData("3,5,4", "6,5", true, true)]
    [InlineData("4,5", "3,5,6", false, false)]     // plain matrix on the left
    [InlineData("5,4", "2,2,6,5", true, true)]
    [InlineData("0,4,5", "0,5,6", false, false)]
    public void MatMul_GivenABatch_ShouldHaveTheGradientsOfItsItems(string left, string right, bool ta, bool tb)
    {
        using ComputeScope scope = Record();
        Tensor a = Parameter(ShapeOf(left), 3);
        Tensor b = Parameter(ShapeOf(right), 4);

        Tensor c = MatMul.Forward(scope, a, b, ta, tb);
        BackwardFromWeightedSum(scope, c);

        (double[] av, double[] bv) = (Reference.ToDouble(a), Reference.ToDouble(b));
        GradientCheck.Close(Batched(av, a.Shape, ta, bv, b.Shape, tb, c.Shape), c);
        GradientCheck.Matches(a, v => Reference.WeightedSum(Batched(v, a.Shape, ta, bv, b.Shape, tb, c.Shape)));
        GradientCheck.Matches(b, v => Reference.WeightedSum(Batched(av, a.Shape, ta, v, b.Shape, tb, c.Shape)));
    }

    [Theory]
    [InlineData(3, 5, 300)]
    [InlineData(40, 50, 300)]
    public void MatMul_GivenBFloat16Precision_ShouldRoundOnlyTheOperands(int m, int n, int k)
    {
        for (int variant = 0; variant < 4; variant++)
        {
            (bool ta, bool tb) = ((variant & 1) != 0, (variant & 2) != 0);
            using ComputeScope scope = new(Backend);
            scope.Precision = Precision.BFloat16;
            Tensor a = Constant(ta ? new(k, m) : new(m, k), 5);
            Tensor b = Constant(tb ? new(n, k) : new(k, n), 6);

            Tensor c = MatMul.Forward(scope, a, b, ta, tb);

            double[] rounded = MatrixReference.Product(
                MatrixReference.Rounded(Reference.ToDouble(a)), ta, MatrixReference.Rounded(Reference.ToDouble(b)), tb, m, n, k);
            GradientCheck.Close(rounded, c);
        }
    }

    [Fact]
    public void MatMul_GivenUnequalInnerExtents_ShouldSayBothShapes()
    {
        using ComputeScope scope = new(Backend);
        ArgumentException error = Assert.Throws<ArgumentException>(() => MatMul.Forward(scope, Constant(new(2, 3), 1), Constant(new(4, 5), 2)));
        Assert.Contains("[2, 3]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[4, 5]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => MatMul.Forward(scope, Constant(new(2, 3, 4), 1), Constant(new(3, 4, 5), 2)));
        Assert.Throws<ArgumentException>(() => MatMul.Forward(scope, Constant(new(3), 1), Constant(new(3, 5), 2)));
    }

    private static Shape ShapeOf(string extents) => new(extents.Split(',').Select(long.Parse).ToArray());

    private static double[] Batched(double[] a, Shape left, bool ta, double[] b, Shape right, bool tb, Shape output)
    {
        (int m, int n, int k) = ((int)output[-2], (int)output[-1], (int)left[ta ? -2 : -1]);
        int batch = output.Count == 0 ? 0 : (int)(output.Count / (m * n));
        List<double> c = [];
        for (int i = 0; i < batch; i++)
        {
            double[] x = left.Rank > 2 ? a.Skip(i * m * k).Take(m * k).ToArray() : a;
            double[] y = right.Rank > 2 ? b.Skip(i * k * n).Take(k * n).ToArray() : b;
            c.AddRange(MatrixReference.Product(x, ta, y, tb, m, n, k));
        }

        return [.. c];
    }
}

public abstract class CpuMatMulTests(CpuTier tier) : MatMulTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }
}

public sealed class CpuScalarMatMulTests() : CpuMatMulTests(CpuTier.Scalar);

public sealed class CpuVector128MatMulTests() : CpuMatMulTests(CpuTier.Vector128);

public sealed class CpuAvx2MatMulTests() : CpuMatMulTests(CpuTier.Avx2);

public sealed class CpuAvx512MatMulTests() : CpuMatMulTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16MatMulTests() : CpuMatMulTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxMatMulTests() : CpuMatMulTests(CpuTier.Amx);
