namespace PureQLora.Core.Tests;

public sealed class ParameterBlockTests
{
    [Fact]
    public void ParameterBlock_GivenParameters_ShouldKeepThemAndTheirGradientsWhereEveryoneFindsThem()
    {
        Tensor first = Tensor.From([1f, 2f, 3f], new Shape(3)).AsParameter();
        Tensor second = Tensor.From([4f, 5f, 6f, 7f], new Shape(2, 2)).AsParameter();
        (Tensor firstGrad, Tensor secondGrad) = (first.Grad!, second.Grad!);
        firstGrad.Floats.Fill(8f);
        secondGrad.Floats.Fill(9f);

        ParameterBlock block = new([first, second]);

        Assert.Equal([1f, 2f, 3f], first.ToArray());
        Assert.Equal([4f, 5f, 6f, 7f], second.ToArray());
        Assert.Same(firstGrad, first.Grad);
        Assert.Equal([9f, 9f, 9f, 9f], second.Grad!.ToArray());
        Assert.True(first.RequiresGrad && second.RequiresGrad);

        // One after another, aligned, with zeros between.
        Assert.Equal([1f, 2f, 3f, 0f], block.Values.ToArray()[..4]);
        Assert.Equal([4f, 5f, 6f, 7f, 0f], block.Values.ToArray()[16..21]);
        block.Values.Floats[16] = 10f;
        block.Gradients.Floats.Clear();
        Assert.Equal(10f, second.Floats[0]);
        Assert.Equal([0f, 0f, 0f], firstGrad.ToArray());
    }

    [Fact]
    public void ViewOf_GivenAState_ShouldBeTheParametersPartOfIt()
    {
        Tensor[] parameters = [Tensor.Create(new Shape(5)).AsParameter(), Tensor.Create(new Shape(3, 2)).AsParameter()];
        ParameterBlock block = new(parameters);
        Tensor state = block.NewState();
        block.ViewOf(state, 1).Floats.Fill(1f);

        Assert.Equal(new Shape(3, 2), block.ViewOf(state, 1).Shape);
        Assert.Equal(6f, state.ToArray().Sum());
        Assert.Equal(0f, block.ViewOf(state, 0).ToArray().Sum());
    }

    [Fact]
    public void ParameterBlock_GivenAConstant_ShouldSayWhatIsMissing()
    {
        Assert.Contains("AsParameter", Assert.Throws<ArgumentException>(() => new ParameterBlock([Tensor.Create(new Shape(2))])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new ParameterBlock([]));
    }
}
