namespace PureQLora.Core.Tests;

public sealed class HostIntsTests
{
    [Fact]
    public void HostInts_GivenIntegersOfAPass_ShouldBeThoseOfItsViewsTooUntilThePassEnds()
    {
        using CpuBackend backend = new(1);
        using ComputeScope scope = new(backend);
        int[] values = [1, 2, 3, 4, 5, 6];
        Tensor tensor = scope.From(values, new Shape(3, 2));
        values[0] = 9;
        for (int i = 0; i < 10; i++)
        {
            // More than the memory of the first has room for.
            Assert.Equal([i], scope.From([i], new Shape(1)).HostInts.ToArray());
        }

        Assert.Equal([1, 2, 3, 4, 5, 6], tensor.HostInts.ToArray());
        Assert.Equal([1, 2, 3, 4, 5, 6], scope.View(tensor, new Shape(6)).HostInts.ToArray());
        Assert.Equal([3, 4], scope.ViewRows(tensor, 1, 1).HostInts.ToArray());
        scope.Reset();
        Assert.True(scope.New(new Shape(3, 2), DataType.Int32).HostInts.IsEmpty);
        Assert.Equal([7, 8], scope.From([7, 8], new Shape(2)).HostInts.ToArray());
    }
}
