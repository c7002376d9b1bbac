using System.Xml.Linq;

namespace PureQLora.Kernels.Tests.Simulation;

public sealed class ProjectTests
{
    /// <summary>The simulation is for machines that cannot get ILGPU, and for other people's kernels.</summary>
    [Fact]
    public void Simulation_ShouldReferenceNothing()
    {
        XDocument file = XDocument.Load(Path.Combine(RepositoryPaths.Root, "kernels-ilgpu", "simulation", "PureQLora.Kernels.Simulation.csproj"));

        Assert.Empty(file.Descendants("PackageReference"));
        Assert.Empty(file.Descendants("ProjectReference"));
    }
}
