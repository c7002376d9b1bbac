namespace PureQLora.Kernels.Tests;

/// <summary>Says what is not tested where ILGPU is not in the package cache; the same tests run on the simulation in another project.</summary>
public sealed class PackageMissingTests
{
    [Fact(Skip = "ILGPU 1.5.3 is not in the package cache; dotnet restore kernels-ilgpu -p:UseIlgpu=true puts it there.")]
    public void Ilgpu_ShouldBeInThePackageCache()
    {
    }
}
