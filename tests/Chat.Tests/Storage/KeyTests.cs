using Chat.Storage;

namespace Chat.Tests.Storage;

public sealed class KeyTests
{
    private static readonly Guid One = new("00000000-0000-0000-0000-000000000001");
    private static readonly Guid Other = new("ffffffff-ffff-ffff-ffff-fffffffffffe");

    [Fact]
    public void Keys_are_stable_across_versions_and_nodes()
    {
        // Pinned, because ids in the database depend on it: a change would turn every retry into a new message, and give two users a
        // second conversation.
        var (first, second) = (new Guid("01234567-89ab-cdef-0123-456789abcdef"), new Guid("fedcba98-7654-3210-fedc-ba9876543210"));
        Assert.Equal(new Guid("c5b1bcbe-e08c-8046-8861-baf9aa021981"), DeterministicId.Of("message", One, Other, "t1"));
        Assert.Equal(new Guid("1ed6d863-3e49-84c2-b1b3-83b56e23d46d"), DeterministicId.Of("message", first, second, "t1"));
        Assert.Equal(new Guid("3a08505a-82bf-845d-934a-f3c84e3bffeb"), DeterministicId.OfPair("direct", second, first));
    }

    [Fact]
    public void A_key_is_a_version_8_UUID() =>
        Assert.All(
            Enumerable.Range(0, 200), i => Assert.Matches("^.{14}8.{4}[89ab]", DeterministicId.Of("kind", One, Other, $"{i}").ToString()));

    [Fact]
    public void Every_part_contributes_to_the_key()
    {
        Guid[] keys =
        [
            DeterministicId.Of("message", One, Other, "t1"),
            DeterministicId.Of("messag", One, Other, "t1"),
            DeterministicId.Of("message", Other, One, "t1"),
            DeterministicId.Of("message", One, One, "t1"),
            DeterministicId.Of("message", One, Other, "t"),
            DeterministicId.Of("message", One, Other, "T1"),
            DeterministicId.Of("message", One, Other),
            DeterministicId.Of("message", One, Other, "\u00e9"),
            DeterministicId.Of("message", One, Other, "e\u0301"),
        ];

        Assert.Equal(keys.Length, keys.Distinct().Count());
    }

    [Fact]
    public void A_key_of_a_pair_is_independent_of_order()
    {
        Assert.Equal(DeterministicId.OfPair("direct", One, Other), DeterministicId.OfPair("direct", Other, One));
        Assert.NotEqual(DeterministicId.OfPair("direct", One, Other), DeterministicId.OfPair("direct", One, One));
        Assert.NotEqual(DeterministicId.OfPair("direct", One, Other), DeterministicId.OfPair("other", One, Other));
    }
}
